import { type AppContext, askBackend, askForApp, notSupported } from './app-context.ts'
import { authErrorOf } from './auth-failure.ts'
import type { Credentials } from './credentials.ts'
import { AuthError } from './errors.ts'
import { storeProfile } from './log-in.ts'
import { BackendFailure } from './outcome.ts'
import type { ApiKeyInfo, BackendContext, SessionInfo, UserContext } from './ports.ts'
import { randomId } from './random-id.ts'
import { sessionAfter } from './session.ts'
import type { TokenKeeper } from './token-keeper.ts'
import { type UserKey, withoutIntent } from './user-record.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ApiKeys {
  /** The key's value is in this answer only. */
  create(name: string, options?: CallOptions): Promise<ApiKeyInfo & { readonly key: string }>
  fetch(id: string, options?: CallOptions): Promise<ApiKeyInfo | null>
  fetchAll(options?: CallOptions): Promise<readonly ApiKeyInfo[]>
  enable(id: string, options?: CallOptions): Promise<void>
  disable(id: string, options?: CallOptions): Promise<void>
  delete(id: string, options?: CallOptions): Promise<void>
}

export interface Sessions {
  list(options?: CallOptions): Promise<readonly SessionInfo[]>
  revoke(id: string, options?: CallOptions): Promise<void>
  revokeOthers(options?: CallOptions): Promise<void>
}

/** What a signed-in user asks of the server. Each call gets a fit token, and one new token and one replay if the server refuses the first. */
export class UserCalls {
  readonly #context: AppContext
  readonly #tokens: TokenKeeper
  readonly #origins: ReadonlySet<string>

  constructor(context: AppContext, tokens: TokenKeeper, origins: readonly string[]) {
    this.#context = context
    this.#tokens = tokens
    this.#origins = new Set([new URL(context.backend.issuer).origin, ...origins.map((origin) => new URL(origin).origin)])
  }

  async fetch(key: UserKey, input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const base = 'location' in globalThis ? globalThis.location.href : undefined
    const request = new Request(input instanceof Request ? input : new URL(input, base), { ...init, redirect: 'error' })
    if (!this.#origins.has(new URL(request.url).origin)) {
      throw new AuthError(
        'invalid-argument',
        `user.fetch does not send tokens to ${new URL(request.url).origin}. Add it to \`fetchOrigins\` if it may have them.`,
      )
    }
    const { signal } = request
    const token = await this.#tokens.accessToken(key, { signal })
    const response = await this.#send(request.clone(), token)
    if (response.status !== 401) return response
    const renewed = await this.#tokens.accessToken(key, { rejected: token, signal })
    await response.body?.cancel()
    return this.#send(request, renewed)
  }

  /** Waits for the head of the answer as long as for any request; its body may take its time, under the caller's own signal. */
  async #send(request: Request, token: string): Promise<Response> {
    const { backend } = this.#context
    if (!backend.authorize) request.headers.set('Authorization', `Bearer ${token}`)
    const authorized = backend.authorize ? await backend.authorize(request, token) : request
    const send = async ({ fetch, signal }: BackendContext): Promise<Response> => {
      try {
        return await fetch(authorized, { signal: AbortSignal.any(signal ? [request.signal, signal] : [request.signal]) })
      } catch (cause) {
        throw new BackendFailure({ kind: 'later', why: 'unreachable' }, 'No answer from the server.', { cause })
      }
    }
    return askForApp(this.#context, 'fetch', send, request.signal)
  }

  async refreshProfile(key: UserKey, { signal }: CallOptions = {}): Promise<void> {
    const { backend } = this.#context
    if (!backend.profile) throw notSupported('tell the profile of a user')
    const { profile } = backend
    await storeProfile(this.#context, key, await this.#ask(key, 'read the profile', (user) => profile.call(backend, user), signal))
  }

  async refreshCustomData(key: UserKey, { signal }: CallOptions): Promise<Readonly<Record<string, unknown>>> {
    const { backend, directory } = this.#context
    const { customData } = backend
    if (!customData) throw notSupported('keep custom data')
    const read = await this.#ask(key, 'read the custom data', (user) => customData.call(backend, user), signal)
    await directory.updateUser(key, (record) =>
      record.vault.kind === 'open' && record.status.kind !== 'logged-out'
        ? { ...record, vault: { kind: 'open', contents: { ...record.vault.contents, customData: read } } }
        : null,
    )
    return read
  }

  async link(key: UserKey, credentials: Credentials, { signal }: CallOptions): Promise<void> {
    const { backend } = this.#context
    const { link } = backend
    if (!link) throw notSupported('link identities')
    await storeProfile(
      this.#context,
      key,
      await this.#ask(key, 'link the credentials', (user) => link.call(backend, credentials, user), signal),
    )
  }

  /** The server ends every session of the old password and grants a new one for this device. */
  async changePassword(key: UserKey, change: { readonly current: string; readonly next: string }, { signal }: CallOptions): Promise<void> {
    const { backend, directory, serverClock } = this.#context
    const { changePassword } = backend
    if (!changePassword) throw notSupported('change passwords')
    const asked = await directory.current(key)
    const grant = await this.#ask(key, 'change the password', (user) => changePassword.call(backend, change, user), signal)
    if (grant.serverOffsetMs !== undefined) serverClock.learn(grant.serverOffsetMs)
    await directory.updateUser(key, (record) => {
      if (record.epoch !== asked?.epoch || record.vault.kind !== 'open') return null
      const session = sessionAfter(grant, serverClock.nowMs(), record.vault.contents.session)
      return {
        ...withoutIntent(record),
        generation: record.generation + 1,
        vault: { kind: 'open', contents: { ...record.vault.contents, session } },
      }
    })
  }

  async callFunction(key: UserKey, name: string, args: readonly unknown[], { signal }: CallOptions): Promise<unknown> {
    const { backend } = this.#context
    const { callFunction } = backend
    if (!callFunction) throw notSupported('call functions')
    return this.#ask(key, `call the function ${name}`, (user) => callFunction.call(backend, name, args, user), signal)
  }

  apiKeys(key: UserKey): ApiKeys {
    const { apiKeys } = this.#context.backend
    if (!apiKeys) throw notSupported('keep API keys')
    return {
      create: (name, { signal } = {}) => this.#ask(key, 'create the API key', (user) => apiKeys.create(name, user), signal),
      fetch: (id, { signal } = {}) => this.#ask(key, 'read the API key', (user) => apiKeys.fetch(id, user), signal),
      fetchAll: ({ signal } = {}) => this.#ask(key, 'read the API keys', (user) => apiKeys.fetchAll(user), signal),
      enable: (id, { signal } = {}) => this.#ask(key, 'enable the API key', (user) => apiKeys.enable(id, user), signal),
      disable: (id, { signal } = {}) => this.#ask(key, 'disable the API key', (user) => apiKeys.disable(id, user), signal),
      delete: (id, { signal } = {}) => this.#ask(key, 'delete the API key', (user) => apiKeys.delete(id, user), signal),
    }
  }

  sessions(key: UserKey): Sessions {
    const { sessions } = this.#context.backend
    if (!sessions) throw notSupported('list sessions')
    return {
      list: ({ signal } = {}) => this.#ask(key, 'list the sessions', (user) => sessions.list(user), signal),
      revoke: (id, { signal } = {}) => this.#ask(key, 'end the session', (user) => sessions.revoke(id, user), signal),
      revokeOthers: ({ signal } = {}) => this.#ask(key, 'end the other sessions', (user) => sessions.revokeOthers(user), signal),
    }
  }

  async deleteAccount(key: UserKey, proof: Credentials | undefined, { signal }: CallOptions): Promise<void> {
    const { backend } = this.#context
    const { deleteUser } = backend
    if (!deleteUser) throw notSupported('delete accounts')
    await this.#ask(key, 'delete the account', (user) => deleteUser.call(backend, proof, user), signal)
  }

  async #ask<T>(key: UserKey, doing: string, ask: (context: UserContext) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const idempotencyKey = randomId(this.#context.world.random)
    const withToken = (accessToken: string) =>
      askBackend(this.#context, (context) => ask({ ...context, accessToken, idempotencyKey }), signal)
    const token = await this.#tokens.accessToken(key, signal ? { signal } : {})
    try {
      return await withToken(token)
    } catch (failure) {
      if (!isTokenRejected(failure)) throw authErrorOf(failure, doing)
    }
    const renewed = await this.#tokens.accessToken(key, { rejected: token, ...(signal ? { signal } : {}) })
    try {
      return await withToken(renewed)
    } catch (failure) {
      throw authErrorOf(failure, doing)
    }
  }
}

function isTokenRejected(failure: unknown): boolean {
  return failure instanceof BackendFailure && failure.outcome.kind === 'token-rejected'
}
