import type { z } from 'zod'
import type { Services } from '../services.ts'

/** One path and method: what it takes, what it answers, and the code between. The OpenAPI document and the fuzz tests are made from these. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** In Hono's notation: `/v1/sync/:collection/pull`. */
  readonly path: string
  readonly summary: string
  readonly bearer: boolean
  readonly body?: z.ZodType
  /** What each successful status answers; a string is a media type other than JSON. */
  readonly answers: Readonly<Record<number, z.ZodType | string>>
  /** Answers that nobody on the way may keep. */
  readonly noStore?: boolean
  handle(exchange: Exchange<unknown>, services: Services): Promise<Response> | Response
}

export interface Exchange<Body> {
  readonly request: Request
  readonly url: URL
  readonly params: Readonly<Record<string, string>>
  readonly body: Body
  /** The address at the other end of the connection, if there is a connection. */
  readonly peer: string | undefined
}

type RouteOf<Schema extends z.ZodType | undefined> = Omit<Route, 'body' | 'handle'> & {
  readonly body?: Schema
  handle(exchange: Exchange<Schema extends z.ZodType ? z.output<Schema> : undefined>, services: Services): Promise<Response> | Response
}

/** Ties the handler's `body` to the route's schema; `app.ts` has parsed it before the handler runs. */
export function route<Schema extends z.ZodType | undefined = undefined>(definition: RouteOf<Schema>): Route {
  return definition as Route
}

export const answer = (status: number, body: unknown) => Response.json(body, { status })
