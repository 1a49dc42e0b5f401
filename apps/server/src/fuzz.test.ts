import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Route } from './http/route.ts'
import { toJsonSchema } from './operations/openapi.ts'
import { allRoutes } from './routes/all-routes.ts'
import { startTestServer, type TestServer, testEngines } from './testing/test-server.ts'

const RUNS = process.env.NIGHTLATCH_DEEP ? 2000 : 60
const ANSWERED_WITHIN_MS = 5000

interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
}

/** Long enough for any rule of length, well-formed enough for any pattern, and not storable. */
const nearlyFine = fc.constantFrom('a\0@example.org', '\ud800@example.org', 'a@example.org', 'correct horse\0', 'correct horse')
const nastyText = fc.oneof(
  nearlyFine,
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    '__proto__',
    'constructor',
    '%00',
    "' or 1=1 --",
    '../../etc/passwd',
    'a'.repeat(5000),
    '🦆'.repeat(300),
  ),
)

/** Values that fit `schema` more or less: each part may be left out or be something else. */
function near(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 4, arbitrary: fitting(schema) }, { weight: 1, arbitrary: fc.jsonValue() }, { weight: 1, arbitrary: nastyText })
}

function fitting(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(near))
  if (schema.type === 'object' && schema.properties) {
    return fc.record(Object.fromEntries(Object.entries(schema.properties).map(([name, inner]) => [name, near(inner)])), {
      requiredKeys: [],
    })
  }
  if (schema.type === 'array') return fc.array(near(schema.items ?? {}), { maxLength: 4 })
  if (schema.type === 'string') return nastyText
  return fc.oneof(
    fc.record({ id: nastyText, text: nastyText }),
    fc.dictionary(fc.constantFrom('id', '_deleted', 'text', '__proto__', '\0'), fc.oneof(fc.jsonValue(), nastyText)),
    fc.jsonValue(),
  )
}

const bodyOf = ({ body, bodyFormat }: Route): fc.Arbitrary<string | undefined> => {
  if (!body) return fc.constant(undefined)
  const values = near(toJsonSchema(body, 'input') as JsonSchema)
  const written = values.map((value) => (bodyFormat === 'form' ? formOf(value) : JSON.stringify(value)))
  return fc.oneof({ weight: 8, arbitrary: written }, { weight: 1, arbitrary: nastyText })
}

function formOf(value: unknown): string {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const asText = (field: unknown) => (typeof field === 'string' ? field : JSON.stringify(field)).toWellFormed()
  return new URLSearchParams(fields.map(([name, field]) => [name.toWellFormed(), asText(field)])).toString()
}

const queryOf = ({ query = [] }: Route) =>
  fc
    .array(fc.tuple(fc.constantFrom('x', ...query.map(({ name }) => name)), nastyText), { maxLength: 3 })
    .map((pairs) => new URLSearchParams(pairs.map(([name, value]) => [name, value.toWellFormed()])).toString())

const pathOf = ({ path }: Route) =>
  fc
    .record({
      collection: fc.oneof(fc.constant('notes'), nastyText),
      schemaVersion: fc.oneof(fc.constant('0'), nastyText),
      sessionId: nastyText,
      keyId: nastyText,
      name: nastyText,
    })
    .map((values) =>
      path.replace(/:(\w+)/g, (_, name: keyof typeof values) => encodeURIComponent(values[name].toWellFormed().slice(0, 500))),
    )

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  beforeAll(async () => {
    const passwordCost = { memoryCost: 64, timeCost: 1 }
    server = await startTestServer({ engine, config: { collections: { notes: { schemaVersion: 0 } } }, passwordCost })
  }, 60_000)
  afterAll(() => server.close())

  test.each(allRoutes({ devRoutes: false }).map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s answers anything with a typed refusal or success, in time',
    { timeout: 300_000 },
    async (_name, route) => {
      const { access_token: token } = await server.client.newAccount() // its own: a deletion among them may succeed
      const bearer = fc.oneof(
        { weight: 6, arbitrary: fc.constant(`Bearer ${token}`) },
        { weight: 1, arbitrary: fc.constantFrom('', 'Bearer x', 'Basic eA==') },
      )
      await fc.assert(
        fc.asyncProperty(pathOf(route), queryOf(route), bodyOf(route), bearer, async (path, query, body, authorization) => {
          const response = await fetch(`${server.url}${path}?${query}`, {
            method: route.method,
            headers: { Authorization: authorization },
            signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
            ...(body === undefined ? {} : { body }),
          })
          if (response.headers.get('content-type') === 'text/event-stream') return response.body?.cancel()
          const answer: unknown = await response.json()
          expect(response.status).toBeLessThan(500)
          if (response.status >= 400 && !isUnknownGrant(answer)) expect(answer).toMatchObject({ code: expect.any(String) as string })
        }),
        { numRuns: RUNS, seed: Number(process.env.NIGHTLATCH_SEED ?? Date.now()) },
      )
    },
  )
})

const isUnknownGrant = (answer: unknown) => z.looseObject({ error: z.literal('invalid_grant') }).safeParse(answer).success
