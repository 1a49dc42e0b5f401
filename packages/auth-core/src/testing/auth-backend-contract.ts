import { afterEach, describe, expect, type TestContext, test } from 'vitest'
import { Credentials } from '../credentials.ts'
import { BackendFailure } from '../outcome.ts'
import type { AuthBackend, BackendContext, Grant, UserContext } from '../ports.ts'
import { sessionAfter } from '../session.ts'

/** A backend and the server behind it. */
export interface BackendStage {
  readonly backend: AuthBackend
  readonly fetch: typeof globalThis.fetch
  /** Now, by the clock of the device that asks. */
  readonly nowMs: () => number
  /** Makes an account that can log in at once. */
  register(account: { readonly email: string; readonly password: string }): Promise<void>
  /** Lets the stage's time pass until `answer` is there. Default: real time. */
  until?<T>(answer: Promise<T>): Promise<T>
  /** Ends every session of the user at the server. */
  endSessions(userId: string): Promise<void>
  close?(): Promise<void>
}

const PASSWORD = 'correct horse battery staple'
let accounts = 0

/** What every `AuthBackend` promises, seen through its port only. A method that is absent, or that the server does not know, is skipped. */
export function authBackendContract(name: string, makeStage: () => BackendStage | Promise<BackendStage>): void {
  describe(`AuthBackend: ${name}`, () => {
    let stage: BackendStage | undefined
    afterEach(async () => {
      await stage?.close?.()
      stage = undefined
    })

    /** A stage with one account that nobody has logged in to. */
    async function setStage() {
      stage = await makeStage()
      const { backend, fetch, nowMs, until = (answer) => answer } = stage
      accounts += 1
      const account = { email: `person${accounts}-${Date.now()}@example.org`, password: PASSWORD }
      await until(stage.register(account))
      const context: BackendContext = { fetch, nowMs }
      const attempt = (attemptId: string) => ({ ...context, attemptId })
      const logIn = async (credentials = Credentials.emailPassword(account.email, PASSWORD)): Promise<Grant> => {
        const answer = await until(backend.logIn(credentials, context))
        if ('challenge' in answer) throw new Error('This account needs no second step.')
        return answer
      }
      const as = ({ accessToken }: Grant): UserContext => ({ ...context, accessToken })
      const refresh = (grant: Grant, attemptId: string) => until(backend.refresh(sessionAfter(grant, nowMs()), attempt(attemptId)))
      const endSessions = stage.endSessions.bind(stage)
      return { backend, account, context, logIn, as, refresh, until, endSessions }
    }

    test('a log-in grants a token with a life, to the same user every time', async () => {
      const { logIn } = await setStage()

      const [first, second] = [await logIn(), await logIn()]

      expect(first.accessToken).not.toBe('')
      expect(first.accessLifeMs).toBeGreaterThan(0)
      expect(second.userId).toBe(first.userId)
      expect(second.accessToken).not.toBe(first.accessToken)
    })

    test.each(['a wrong password', 'an unknown address'])('%s is refused as `invalid-credentials`', async (what) => {
      const { account, logIn } = await setStage()
      const wrong =
        what === 'a wrong password'
          ? Credentials.emailPassword(account.email, 'wrong')
          : Credentials.emailPassword('nobody@example.org', PASSWORD)

      await expect(logIn(wrong)).rejects.toMatchObject({
        name: 'BackendFailure',
        outcome: { kind: 'refused', code: 'invalid-credentials' },
      })
    })

    test('every anonymous log-in makes a user of its own', async () => {
      const { logIn } = await setStage()

      expect((await logIn(Credentials.anonymous())).userId).not.toBe((await logIn(Credentials.anonymous())).userId)
    })

    test('a refresh grants another token for the same session', async () => {
      const { logIn, refresh } = await setStage()
      const first = await logIn()

      const second = await refresh(first, 'attempt-1')

      expect(second).toMatchObject({ userId: first.userId, ...(first.sessionId === undefined ? {} : { sessionId: first.sessionId }) })
      expect(second.accessToken).not.toBe(first.accessToken)
    })

    test('a refresh whose answer was lost can be repeated', async () => {
      const { backend, logIn, refresh } = await setStage()
      if (backend.traits.reuseEndsAllSessions) return
      const first = await logIn()
      await refresh(first, 'attempt-1')

      const again = await refresh(first, 'attempt-1')

      await expect(refresh({ ...first, ...again }, 'attempt-2')).resolves.toMatchObject({ userId: first.userId })
    })

    test('S1: a session that was ended is `over`', async () => {
      const { logIn, refresh, endSessions, until } = await setStage()
      const grant = await logIn()
      await until(endSessions(grant.userId))

      await expect(refresh(grant, 'attempt-1')).rejects.toMatchObject({
        name: 'BackendFailure',
        outcome: { kind: 'over', reason: 'revoked' },
      })
    })

    test('S1: a forged refresh token is `over` for an unknown reason, and ends nobody', async () => {
      const { logIn, refresh } = await setStage()
      const grant = await logIn()

      await expect(refresh({ ...grant, refreshToken: 'v1.forged.0.mac' }, 'attempt-1')).rejects.toMatchObject({
        outcome: { kind: 'over', reason: 'unknown' },
      })
      await expect(refresh(grant, 'attempt-2')).resolves.toMatchObject({ userId: grant.userId })
    })

    test('S5: a revocation by handle ends that session and no other, and may come twice', async ({ skip }) => {
      const { backend, context, logIn, refresh, until } = await setStage()
      const [one, two] = [await logIn(), await logIn()]
      if (!backend.revoke || one.revokeHandle === undefined) return skip('not in this backend')

      await until(backend.revoke(one.revokeHandle, context))
      await until(backend.revoke(one.revokeHandle, context))

      await expect(refresh(one, 'attempt-1')).rejects.toMatchObject({ outcome: { kind: 'over' } })
      await expect(refresh(two, 'attempt-2')).resolves.toMatchObject({ userId: two.userId })
    })

    test('a profile says who it is', async ({ skip }) => {
      const { backend, account, logIn, as, until } = await setStage()
      if (!backend.profile) return skip('not in this backend')
      const grant = await logIn()

      const profile = await until(backend.profile(as(grant)))

      expect(profile).toMatchObject({ userId: grant.userId, profile: { email: account.email } })
      expect(profile.identities.map(({ provider }) => provider)).toEqual(['email-password'])
    })

    test('an access token that is not accepted is `token-rejected`, never `over`', async ({ skip }) => {
      const { backend, logIn, as, until } = await setStage()
      if (!backend.profile) return skip('not in this backend')
      const grant = await logIn()

      await expect(until(backend.profile({ ...as(grant), accessToken: 'forged' }))).rejects.toMatchObject({
        outcome: { kind: 'token-rejected' },
      })
    })

    test('an address that is taken is `account-exists`', async ({ skip }) => {
      const { backend, account, context, until } = await setStage()
      if (!backend.emailPassword) return skip('not in this backend')

      await expect(until(backend.emailPassword.register(account, context))).rejects.toMatchObject({
        outcome: { kind: 'refused', code: 'account-exists' },
      })
    })

    test('linking keeps the user and adds an identity', async (run) => {
      const { backend, logIn, as, until } = await setStage()
      if (!backend.link) return run.skip('not in this backend')
      const grant = await logIn(Credentials.anonymous())
      const linked = await ifKnown(
        run,
        until(backend.link(Credentials.emailPassword(`linked-${Date.now()}@example.org`, PASSWORD), as(grant))),
      )

      expect(linked.userId).toBe(grant.userId)
      expect(linked.identities.map(({ provider }) => provider)).toContain('email-password')
    })

    test('the sessions of a user can be listed and the others ended', async (run) => {
      const { backend, logIn, as, refresh, until } = await setStage()
      if (!backend.sessions) return run.skip('not in this backend')
      const [one, two] = [await logIn(), await logIn()]

      const sessions = await ifKnown(run, until(backend.sessions.list(as(two))))
      await until(backend.sessions.revokeOthers(as(two)))

      expect(sessions.filter(({ current }) => current)).toHaveLength(1)
      expect(sessions.length).toBeGreaterThanOrEqual(2)
      await expect(refresh(one, 'attempt-1')).rejects.toMatchObject({ outcome: { kind: 'over' } })
      await expect(refresh(two, 'attempt-2')).resolves.toMatchObject({ userId: two.userId })
    })

    test('a deleted user is over everywhere, and cannot log in', async (run) => {
      const { backend, account, logIn, as, refresh, until } = await setStage()
      if (!backend.deleteUser) return run.skip('not in this backend')
      const [one, two] = [await logIn(), await logIn()]
      await ifKnown(run, until(backend.deleteUser(Credentials.emailPassword(account.email, PASSWORD), as(one))))

      await expect(refresh(two, 'attempt-1')).rejects.toMatchObject({ outcome: { kind: 'over', reason: 'deleted' } })
      await expect(logIn()).rejects.toMatchObject({ outcome: { kind: 'refused', code: 'invalid-credentials' } })
    })

    test('an API key is shown once, logs in, and does not when it is disabled', async (run) => {
      const { backend, logIn, as, until } = await setStage()
      if (!backend.apiKeys) return run.skip('not in this backend')
      const grant = await logIn()
      const { key, ...info } = await ifKnown(run, until(backend.apiKeys.create('robot', as(grant))))

      expect(await until(backend.apiKeys.fetchAll(as(grant)))).toEqual([info])
      expect((await logIn(Credentials.apiKey(key))).userId).toBe(grant.userId)
      await until(backend.apiKeys.disable(info.id, as(grant)))
      await expect(logIn(Credentials.apiKey(key))).rejects.toMatchObject({ outcome: { kind: 'refused' } })
      await until(backend.apiKeys.delete(info.id, as(grant)))
      expect(await until(backend.apiKeys.fetch(info.id, as(grant)))).toBeNull()
    })

    test('no answer is `later/unreachable`', async () => {
      const { backend, context } = await setStage()
      const cut = { ...context, fetch: () => Promise.reject(new TypeError('fetch failed')) }

      await expect(backend.logIn(Credentials.anonymous(), cut)).rejects.toMatchObject({ outcome: { kind: 'later', why: 'unreachable' } })
    })

    test('S13: no failure holds what was sent', async () => {
      const { backend, account, context, until } = await setStage()
      const credentials = Credentials.emailPassword(account.email, 'canary-4711')

      const failure: unknown = await until(backend.logIn(credentials, context)).catch((error: unknown) => error)

      expect(failure).toBeInstanceOf(BackendFailure)
      expect(`${JSON.stringify(failure)} ${(failure as Error).stack} ${String((failure as Error).cause)}`).not.toContain('canary-4711')
    })
  })
}

/** The answer, or a skipped test if the server has no such route (yet). */
async function ifKnown<T>({ skip }: TestContext, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (failure) {
    if (failure instanceof BackendFailure && failure.outcome.kind === 'refused' && failure.outcome.code === 'not_found') {
      skip('the server does not answer this yet')
    }
    throw failure
  }
}
