import { TemplateError } from '../errors.ts'

export function templateIsGone(template: string, cause: unknown): TemplateError {
  return new TemplateError(
    `The template ${template} is not there. It was dropped after prepareTemplate() had returned it: call prepareTemplate() ` +
      `again, and hand its result to the workers of that run.`,
    { cause },
  )
}
