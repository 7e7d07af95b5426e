import { z } from 'zod'
import { required } from './fields.ts'

export const newComment = z.object({ body: required() })
