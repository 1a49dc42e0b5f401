import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import { tokenAnswerShape } from '../routes/token-answer.ts'

export type Account = z.output<typeof tokenAnswerShape>

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed body, or its text if it is not JSON. */
  readonly body: unknown
}

/** Speaks the wire with nothing but fetch. */
export class TestClient {
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  async get(path: string, token?: string): Promise<Answer> {
    return read(await fetch(this.url + path, { headers: bearer(token) }))
  }

  async post(path: string, body: unknown, token?: string): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return read(
      await fetch(this.url + path, { method: 'POST', body: text, headers: { 'Content-Type': 'application/json', ...bearer(token) } }),
    )
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

async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  const body: unknown = isJson ? JSON.parse(text) : text
  return { status: response.status, headers: response.headers, body }
}

const bearer = (token: string | undefined): Record<string, string> => (token === undefined ? {} : { Authorization: `Bearer ${token}` })
