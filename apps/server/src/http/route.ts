import type { z } from 'zod'
import type { LimitKind } from '../operations/request-limits.ts'
import type { Services } from '../services.ts'
import type { AccessClaims } from '../tokens/access-token.ts'

/** One path and method: what it takes, what it answers, and the code between. The OpenAPI document and the fuzz tests are made from these. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** In Hono's notation: `/v1/sync/:collection/pull`. */
  readonly path: string
  readonly summary: string
  /** Whether it takes an access token, which is checked before the body is read. */
  readonly bearer: boolean
  readonly body?: z.ZodType
  /** How the body is written. Default JSON. With `form` refusals are in OAuth's shape, too (RFC 6749 section 5.2). */
  readonly bodyFormat?: 'json' | 'form'
  readonly query?: readonly QueryParameter[]
  /** Which limit counts it. Default `requests`. */
  readonly limit?: LimitKind
  /** What each successful status answers; a string is a media type other than JSON. */
  readonly answers: Readonly<Record<number, z.ZodType | string>>
  /** Answers that nobody on the way may keep. */
  readonly noStore?: boolean
  handle(exchange: Exchange<unknown, AccessClaims | undefined>, services: Services): Promise<Response> | Response
}

export interface QueryParameter {
  readonly name: string
  readonly description: string
  readonly repeatable?: boolean
}

export interface Exchange<Body, Claims> {
  readonly request: Request
  readonly url: URL
  readonly params: Readonly<Record<string, string>>
  readonly body: Body
  /** What the access token says; whether its session still lives is for `authorize` to find out. */
  readonly claims: Claims
  /** The address at the other end of the connection, if there is a connection. */
  readonly peer: string | undefined
}

type RouteOf<Schema extends z.ZodType | undefined, Bearer extends boolean> = Omit<Route, 'body' | 'bearer' | 'handle'> & {
  readonly body?: Schema
  readonly bearer: Bearer
  handle(
    exchange: Exchange<Schema extends z.ZodType ? z.output<Schema> : undefined, Bearer extends true ? AccessClaims : undefined>,
    services: Services,
  ): Promise<Response> | Response
}

/** Ties the handler's `body` and `claims` to what the route declares; `app.ts` has checked both before the handler runs. */
export function route<const Bearer extends boolean, Schema extends z.ZodType | undefined = undefined>(
  definition: RouteOf<Schema, Bearer>,
): Route {
  return definition as unknown as Route
}

export const answer = (status: number, body: unknown) => Response.json(body, { status })
