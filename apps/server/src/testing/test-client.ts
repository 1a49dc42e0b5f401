import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { allRoutes } from '../routes/all-routes.ts'
import { tokenAnswerShape } from '../routes/token-answer.ts'

export type Account = z.output<typeof tokenAnswerShape>

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body, or its text if it is not JSON. */
  readonly body: unknown
}

/** Speaks the wire with nothing but fetch, and checks every answer against what its route declares. */
export class TestClient {
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  async get(path: string, token?: string): Promise<Answer> {
    return read('GET', path, await fetch(this.url + path, { headers: bearer(token) }))
  }

  async put(path: string, token?: string): Promise<Answer> {
    return read('PUT', path, await fetch(this.url + path, { method: 'PUT', headers: bearer(token) }))
  }

  async delete(path: string, token?: string): Promise<Answer> {
    return read('DELETE', path, await fetch(this.url + path, { method: 'DELETE', headers: bearer(token) }))
  }

  async post(path: string, body: unknown, token?: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const headers = { 'Content-Type': 'application/json', ...bearer(token), ...more }
    return read('POST', path, await fetch(this.url + path, { method: 'POST', body: text, headers }))
  }

  /** Registers an address nobody else uses and logs in. */
  async newAccount(password = 'correct horse battery'): Promise<Account & { readonly email: string; readonly password: string }> {
    const email = `${randomUUID()}@example.org`
    await this.post('/v1/auth/register', { email, password })
    return { ...(await this.logIn(email, password)), email, password }
  }

  async logIn(email: string, password: string): Promise<Account> {
    return tokenAnswerShape.parse((await this.post('/v1/auth/login', { provider: 'email-password', email, password })).body)
  }

  async logInAnonymously(): Promise<Account> {
    return tokenAnswerShape.parse((await this.post('/v1/auth/login', { provider: 'anonymous' })).body)
  }

  async refresh(refreshToken: string, attemptId?: string): Promise<Answer> {
    return this.post('/v1/auth/refresh', { refresh_token: refreshToken, attempt_id: attemptId })
  }

  /** A refresh that must succeed. */
  async refreshed(refreshToken: string, attemptId?: string): Promise<Account> {
    return tokenAnswerShape.parse((await this.refresh(refreshToken, attemptId)).body)
  }
}

const refusalShape = z.union([
  z.strictObject({ error: z.string(), code: z.string(), scopes: z.array(z.string()).optional() }),
  z.strictObject({ error: z.string(), error_description: z.string(), code: z.string().optional() }),
])
const routes = allRoutes({ devRoutes: true }).map((route) => ({
  ...route,
  pattern: new RegExp(`^${route.path.replace(/:\w+/g, '[^/]+')}$`),
}))

async function read(method: string, path: string, response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  const body: unknown = isJson ? JSON.parse(text) : text
  declaredShape(method, path, response.status).parse(body)
  return { status: response.status, headers: response.headers, body }
}

function declaredShape(method: string, path: string, status: number): z.ZodType {
  if (status >= 400) return refusalShape
  const [pathname = ''] = path.split('?')
  const shape = routes.find((route) => route.method === method && route.pattern.test(pathname))?.answers[status]
  if (shape === undefined) throw new Error(`${method} ${pathname} does not declare ${status}.`)
  if (typeof shape === 'string') return z.string()
  return shape instanceof z.ZodObject ? shape.strict() : shape
}

const bearer = (token: string | undefined): Record<string, string> => (token === undefined ? {} : { Authorization: `Bearer ${token}` })
