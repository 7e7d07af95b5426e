import { BASE_STYLES } from './base-styles.ts'
import { LIST_STYLES } from './list-styles.ts'
import { REQUEST_STYLES } from './request-styles.ts'
import { WIDTH_STYLES } from './width-styles.ts'

/** The style sheet of every page. */
export const STYLES = BASE_STYLES + LIST_STYLES + REQUEST_STYLES + WIDTH_STYLES
