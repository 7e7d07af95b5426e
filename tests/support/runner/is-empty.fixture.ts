import { suite } from '../suite.ts'

suite('empty').run()
