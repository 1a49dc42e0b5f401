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

/** Whether the access token can be handed out: its remaining life is at least `minValidityMs`, or half of what was granted if that is less (S11). */
export function isFit(session: Session, serverNowMs: number, minValidityMs = DEFAULT_MIN_VALIDITY_MS): boolean {
  return session.accessExpiresAtMs - serverNowMs >= Math.min(minValidityMs, session.accessLifeMs / 2)
}

/** When the session ends unless it is renewed, by the server's clock; `undefined` if the server named no end. */
export function sessionEndsAtMs(session: Session): number | undefined {
  if (session.idleEndsAtMs === undefined) return session.endsAtMs
  return session.endsAtMs === undefined ? session.idleEndsAtMs : Math.min(session.idleEndsAtMs, session.endsAtMs)
}
