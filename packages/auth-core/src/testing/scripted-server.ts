import type { SimulatedDevice } from './simulated-world.ts'

/** What goes wrong with one request. `after`: the server does its work first, and only the answer suffers. */
export type Fault =
  | { readonly kind: 'drop'; readonly when: 'before' | 'after' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'slow-answer'; readonly ms: number }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body: string
      readonly type?: string
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'cut' }
  /** A proxy that keeps the request to itself and delivers it when the client has long given up. */
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'hang' }

export const faults = {
  networkError: { kind: 'drop', when: 'before' },
  lostAnswer: { kind: 'drop', when: 'after' },
  hang: { kind: 'hang' },
  cutJson: { kind: 'cut' },
  error500: { kind: 'answer', status: 500, body: '{"error":"Something broke.","code":"internal"}' },
  throttled: { kind: 'answer', status: 429, body: '{"error":"Too many.","code":"throttled"}', headers: { 'Retry-After': '7' } },
  htmlLoginPage: (status: number): Fault => ({
    kind: 'answer',
    status,
    type: 'text/html',
    body: '<html><body>Log in to the Wi-Fi</body></html>',
  }),
  invalidGrant: (code?: string): Fault => ({
    kind: 'answer',
    status: 400,
    body: JSON.stringify({ error: 'invalid_grant', error_description: 'The session is over.', ...(code ? { code } : {}) }),
  }),
  delay: (ms: number): Fault => ({ kind: 'delay', ms }),
  slowAnswer: (ms: number): Fault => ({ kind: 'slow-answer', ms }),
  late: (ms: number): Fault => ({ kind: 'late', ms }),
  json: (status: number, body: unknown): Fault => ({ kind: 'answer', status, body: JSON.stringify(body) }),
} as const satisfies Record<string, Fault | ((...args: never[]) => Fault)>

interface ServerSession {
  readonly id: string
  readonly userId: string
  rotation: number
  /** Attempt that made each rotation. */
  readonly attempts: Map<number, string | undefined>
  rotatedAtMs: number
  confirmed: boolean
  over?: string
}

interface Account {
  readonly id: string
  email?: string
  password?: string
  readonly identities: { readonly id: string; readonly provider: string }[]
  customData: Record<string, unknown>
  deleted?: boolean
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
  readonly body: unknown
  readonly atMs: number
}

/**
 * The reference server's accounts as a model: the same wire and the same rules for tokens, in memory, on the device's virtual time,
 * with faults to order. Used through `fetch`, so that the real adapter is in every test.
 */
export class ScriptedServer {
  readonly url: string
  accessLifeMs = 15 * 60_000
  latencyMs = 20
  readonly seen: SeenRequest[] = []
  readonly #device: SimulatedDevice
  readonly #accounts = new Map<string, Account>()
  readonly #sessions = new Map<string, ServerSession>()
  readonly #orders: { readonly path: string | undefined; readonly fault: Fault }[] = []
  #standing: ((path: string) => Fault | undefined) | undefined
  #count = 0

  constructor(device: SimulatedDevice, url = 'https://api.example.org') {
    this.#device = device
    this.url = url
  }

  /** The next request (to `path`, if given) meets this fault. */
  nextAnswer(fault: Fault, path?: string): void {
    this.#orders.push({ path, fault })
  }

  /** Orders that no request has met yet are off. */
  forgetOrders(): void {
    this.#orders.length = 0
  }

  /** Every request meets what this returns, until changed. */
  everyAnswer(fault: ((path: string) => Fault | undefined) | undefined): void {
    this.#standing = fault
  }

  register(email: string, password: string): string {
    const id = this.#newId('user')
    this.#accounts.set(id, { id, email, password, identities: [{ id: email, provider: 'email-password' }], customData: {} })
    return id
  }

  /** Ends sessions at the server. Without a user: all. */
  revoke(userId?: string, code = 'revoked'): void {
    for (const session of this.#sessions.values()) if (userId === undefined || session.userId === userId) session.over ??= code
  }

  liveSessions(userId?: string): number {
    return [...this.#sessions.values()].filter((session) => !session.over && (userId === undefined || session.userId === userId)).length
  }

  /** Sessions that ended because an old refresh token turned up: a client that behaves causes none. */
  get reuses(): number {
    return [...this.#sessions.values()].filter(({ over }) => over === 'reuse').length
  }

  liveSessionIds(): readonly string[] {
    return [...this.#sessions.values()].filter((session) => !session.over).map(({ id }) => id)
  }

  requests(path: string): readonly SeenRequest[] {
    return this.seen.filter((request) => request.path === path)
  }

  /** Every secret the server gave out or was given in this run: none may turn up anywhere else. */
  readonly secrets = new Set<string>()

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    const { pathname } = new URL(request.url)
    const path = pathname.replace(/^\/v1\/auth\//, '')
    const fault = this.#takeFault(path)
    if (!this.#device.online || (fault?.kind === 'drop' && fault.when === 'before')) throw new TypeError('fetch failed')
    const text = await request.text()
    if (fault?.kind === 'late') {
      this.#device.startTimer(this.#clockTab, fault.ms, () => void this.#answer(request, path, text))
      await this.#wait(request, Number.POSITIVE_INFINITY)
    }
    await this.#wait(request, fault?.kind === 'delay' ? fault.ms : fault?.kind === 'hang' ? Number.POSITIVE_INFINITY : this.latencyMs)
    if (fault?.kind === 'answer') {
      this.#see(request, path, text)
      const headers = { 'Content-Type': fault.type ?? 'application/json', ...fault.headers }
      return new Response(fault.body, { status: fault.status, headers })
    }
    const [status, answer] = this.#answer(request, path, text)
    if (fault?.kind === 'drop') throw new TypeError('fetch failed')
    if (fault?.kind === 'slow-answer') await this.#wait(request, fault.ms)
    const written = JSON.stringify(answer)
    return new Response(fault?.kind === 'cut' ? written.slice(0, written.length / 2) : written, {
      status,
      headers: { 'Content-Type': 'application/json' },
    })
  }

  #see(request: Request, path: string, text: string): SeenRequest {
    const token = request.headers.get('Authorization')?.replace('Bearer ', '')
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const seen = { method: request.method, path, token, body, atMs: this.#device.trueMs }
    this.seen.push(seen)
    return seen
  }

  #answer(request: Request, path: string, text: string): [number, unknown] {
    const { body, token } = this.#see(request, path, text)
    return this.#serve(request.method, path, isFields(body) ? body : {}, token)
  }

  #takeFault(path: string): Fault | undefined {
    const index = this.#orders.findIndex((order) => order.path === undefined || order.path === path)
    if (index >= 0) return this.#orders.splice(index, 1)[0]?.fault
    return this.#standing?.(path)
  }

  #wait(request: Request, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = request
      const give = () =>
        reject(signal.reason instanceof Error ? signal.reason : new DOMException('The operation was aborted.', 'AbortError'))
      if (signal.aborted) return give()
      signal.addEventListener('abort', give, { once: true })
      if (Number.isFinite(ms)) this.#device.startTimer(this.#clockTab, ms, resolve)
    })
  }

  /** The server's own clock: timers that no tab's death stops. */
  get #clockTab() {
    this.#tab ??= this.#device.openTab()
    return this.#tab
  }
  #tab: ReturnType<SimulatedDevice['openTab']> | undefined

  #serve(method: string, path: string, body: Readonly<Record<string, unknown>>, token: string | undefined): [number, unknown] {
    switch (`${method} ${path}`) {
      case 'POST register':
        return this.#register(body)
      case 'POST login':
        return this.#logIn(body)
      case 'POST refresh':
        return this.#refresh(String(body.refresh_token), typeof body.attempt_id === 'string' ? body.attempt_id : undefined)
      case 'POST revoke': {
        const session = this.#sessions.get(String(body.revoke_handle).split('.')[1] ?? '')
        if (session) session.over ??= 'revoked'
        return [200, {}]
      }
      default:
        return this.#asUser(method, path, body, token)
    }
  }

  #asUser(method: string, path: string, body: Readonly<Record<string, unknown>>, token: string | undefined): [number, unknown] {
    const account = this.#accountOf(token)
    if (!account) return [401, { error: 'The token is not accepted.', code: 'token_expired' }]
    switch (`${method} ${path}`) {
      case 'GET profile':
        return [200, profileOf(account)]
      case 'POST link':
        if (body.provider !== 'email-password') return [400, { error: 'Not here.', code: 'invalid_request' }]
        if (this.#byEmail(String(body.email))) return [409, { error: 'Somebody else has it.', code: 'identity_taken' }]
        account.email ??= String(body.email)
        account.password ??= String(body.password)
        account.identities.push({ id: String(body.email), provider: 'email-password' })
        return [200, profileOf(account)]
      case 'POST delete':
        account.deleted = true
        this.revoke(account.id, 'user_deleted')
        return [200, {}]
      case 'POST sessions/revoke-others':
        for (const session of this.#sessions.values()) {
          if (session.userId === account.id && session.id !== this.#sessionIdOf(token)) session.over ??= 'revoked'
        }
        return [200, {}]
      default:
        return [404, { error: 'Nothing here.', code: 'not_found' }]
    }
  }

  #register({ email, password }: Readonly<Record<string, unknown>>): [number, unknown] {
    if (this.#byEmail(String(email))) return [409, { error: 'This e-mail address is taken.', code: 'email_taken' }]
    this.register(String(email), String(password))
    return [201, {}]
  }

  #logIn(body: Readonly<Record<string, unknown>>): [number, unknown] {
    const account = body.provider === 'anonymous' ? this.#newAnonymous() : this.#byEmail(String(body.email))
    if (!account || (body.provider !== 'anonymous' && account.password !== body.password)) {
      return [401, { error: 'E-mail or password is wrong.', code: 'invalid_credentials' }]
    }
    const session: ServerSession = {
      id: this.#newId('session'),
      userId: account.id,
      rotation: 0,
      attempts: new Map(),
      rotatedAtMs: this.#device.trueMs,
      confirmed: false,
    }
    this.#sessions.set(session.id, session)
    return [200, this.#grant(session)]
  }

  #newAnonymous(): Account {
    const id = this.#newId('user')
    const account = { id, identities: [{ id, provider: 'anonymous' }], customData: {} }
    this.#accounts.set(id, account)
    return account
  }

  /** The table of the design: what a presented refresh token is answered with. */
  #refresh(token: string, attempt: string | undefined): [number, unknown] {
    const [, id = '', rotationText] = token.split('.')
    const session = this.#sessions.get(id)
    const rotation = Number(rotationText)
    if (!session || Number.isNaN(rotation)) return invalidGrant()
    if (session.over) return invalidGrant(session.over)
    if (rotation === session.rotation) {
      session.rotation += 1
      session.attempts.set(session.rotation, attempt)
      session.rotatedAtMs = this.#device.trueMs
      session.confirmed = false
      return [200, this.#grant(session)]
    }
    const sameAttempt = attempt !== undefined && session.attempts.get(rotation + 1) === attempt
    if (sameAttempt && rotation + 1 === session.rotation) return [200, this.#grant(session)]
    if (sameAttempt) return [409, { error: 'A newer token is in use.', code: 'superseded' }]
    const isOverlap = this.#device.trueMs - session.rotatedAtMs < 30_000 || !session.confirmed
    if (rotation + 1 === session.rotation && isOverlap) return [200, this.#grant(session)]
    session.over = 'reuse'
    return invalidGrant('reuse')
  }

  #grant(session: ServerSession): unknown {
    const access = `a.${session.id}.${session.rotation}.${this.#device.trueMs + this.accessLifeMs}`
    const refresh = `v1.${session.id}.${session.rotation}.mac`
    this.secrets.add(access).add(refresh)
    return {
      token_type: 'Bearer',
      access_token: access,
      expires_in: this.accessLifeMs / 1000,
      refresh_token: refresh,
      session_id: session.id,
      user_id: session.userId,
      device_id: `device-of-${session.userId}`,
      session_idle_ends_at_ms: this.#device.trueMs + 60 * 86_400_000,
      session_ends_at_ms: this.#device.trueMs + 180 * 86_400_000,
      server_time_ms: this.#device.trueMs,
      revoke_handle: `r1.${session.id}.mac`,
    }
  }

  #accountOf(token: string | undefined): Account | undefined {
    const [, id = '', rotation, expires] = token?.split('.') ?? []
    const session = this.#sessions.get(id)
    if (!session || session.over || Number(expires) <= this.#device.trueMs) return undefined
    if (Number(rotation) === session.rotation) session.confirmed = true
    const account = this.#accounts.get(session.userId)
    return account?.deleted ? undefined : account
  }

  #sessionIdOf(token: string | undefined): string | undefined {
    return token?.split('.')[1]
  }

  #byEmail(email: string): Account | undefined {
    return [...this.#accounts.values()].find((account) => account.email === email && !account.deleted)
  }

  #newId(kind: string): string {
    this.#count += 1
    return `${kind}${this.#count}`
  }
}

function profileOf({ id, identities, email, customData }: Account): unknown {
  return { user_id: id, identities, profile: email === undefined ? {} : { email }, custom_data: customData }
}

function invalidGrant(code?: string): [number, unknown] {
  return [400, { error: 'invalid_grant', error_description: 'The session is over.', ...(code === undefined ? {} : { code }) }]
}

function isFields(body: unknown): body is Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null
}
