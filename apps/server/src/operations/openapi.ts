import { z } from 'zod'
import type { Route } from '../http/route.ts'

const refusal = {
  type: 'object',
  required: ['error'],
  properties: {
    error: { type: 'string' },
    code: { type: 'string' },
    error_description: { type: 'string' },
    scopes: { type: 'array', items: { type: 'string' }, description: 'With `scope_denied`: those that are not open to the user' },
  },
}

/** The OpenAPI 3.1 document of `routes`, from the schemas that the handlers are checked against. */
export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Nightlatch server', version },
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    paths,
  }
}

function operation({ summary, path, bearer, body, bodyFormat, query, answers }: Route): object {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
  const inQuery = (query ?? []).map(({ name, repeatable, description }) => ({
    name,
    in: 'query',
    description,
    schema: repeatable ? { type: 'array', items: { type: 'string' } } : { type: 'string' },
  }))
  const bodyType = bodyFormat === 'form' ? 'application/x-www-form-urlencoded' : 'application/json'
  return {
    summary,
    ...(bearer ? { security: [{ bearer: [] }] } : {}),
    parameters: [...inPath, ...inQuery],
    ...(body ? { requestBody: { required: true, content: { [bodyType]: { schema: toJsonSchema(body, 'input') } } } } : {}),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, shape]) => [status, response(shape)])),
      default: { description: 'A refusal', content: { 'application/json': { schema: refusal } } },
    },
  }
}

function response(shape: z.ZodType | string): object {
  if (typeof shape === 'string') return { description: shape, content: { [shape]: { schema: { type: 'string' } } } }
  return { description: 'Done', content: { 'application/json': { schema: toJsonSchema(shape, 'output') } } }
}

export const toJsonSchema = (schema: z.ZodType, io: 'input' | 'output') => z.toJSONSchema(schema, { io, unrepresentable: 'any' })
