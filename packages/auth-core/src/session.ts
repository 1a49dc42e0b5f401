import { given } from './given.ts'
import type { Grant } from './ports.ts'

/**
 * What the server granted: the tokens and how long they are good for. Instants are by the *server's* clock as this device last learned it,
 * so a device whose own clock is off by years asks for no refresh too many and hands out no dead token (S11).
 */
export interface Session {
  readonly id?: string
  readonly accessToken: string
  /** The whole life the server gave the access token, milliseconds. */
  readonly accessLifeMs: number
  readonly accessExpiresAtMs: number
  /** Absent where the backend has none, or renews by other means. */
  readonly refreshToken?: string
  /** When the session ends if it is not used. */
  readonly idleEndsAtMs?: number
  /** When the session ends whatever happens. */
  readonly endsAtMs?: number
  /** May end this session at the server, and nothing else (S5). */
  readonly revokeHandle?: string
}

/** Margin of validity that `getAccessToken` insists on if the caller does not say. */
export const DEFAULT_MIN_VALIDITY_MS = 30_000

/** More life left than was granted, beyond this, means that the clock went back: nothing is known about the token then. */
const CLOCK_SLACK_MS = 60_000

/** Whether the access token can be handed out: its remaining life is at least `minValidityMs`, or half of what was granted if that is less (S11). */
export function isFit(session: Session, serverNowMs: number, minValidityMs = DEFAULT_MIN_VALIDITY_MS): boolean {
  const leftMs = session.accessExpiresAtMs - serverNowMs
  return serverNowMs <= fitUntilMs(session, minValidityMs) && leftMs <= session.accessLifeMs + CLOCK_SLACK_MS
}

/** When the access token stops being fit, by the server's clock. */
export function fitUntilMs({ accessExpiresAtMs, accessLifeMs }: Session, minValidityMs = DEFAULT_MIN_VALIDITY_MS): number {
  return accessExpiresAtMs - Math.min(minValidityMs, accessLifeMs / 2)
}

/** Share of an access token's life after which it is renewed whether somebody asks or not. */
const PREFETCH_AT = 0.8

/** When to renew ahead of need, by the server's clock. */
export function prefetchAtMs(session: Session): number {
  return session.accessExpiresAtMs - (1 - PREFETCH_AT) * session.accessLifeMs
}

/** When the session ends unless it is renewed, by the server's clock; `undefined` if the server named no end. */
export function sessionEndsAtMs(session: Session): number | undefined {
  if (session.idleEndsAtMs === undefined) return session.endsAtMs
  return session.endsAtMs === undefined ? session.idleEndsAtMs : Math.min(session.idleEndsAtMs, session.endsAtMs)
}

/** The session after a grant. What the grant leaves out stays as it was (RFC 6749 section 6: no new refresh token means keep the old one). */
export function sessionAfter(grant: Grant, serverNowMs: number, before?: Session): Session {
  const { sessionId: id = before?.id, refreshToken = before?.refreshToken, revokeHandle = before?.revokeHandle } = grant
  const { idleEndsAtMs = before?.idleEndsAtMs, endsAtMs = before?.endsAtMs } = grant
  return {
    accessToken: grant.accessToken,
    accessLifeMs: grant.accessLifeMs,
    accessExpiresAtMs: serverNowMs + grant.accessLifeMs,
    ...given('id', id),
    ...given('refreshToken', refreshToken),
    ...given('idleEndsAtMs', idleEndsAtMs),
    ...given('endsAtMs', endsAtMs),
    ...given('revokeHandle', revokeHandle),
  }
}
