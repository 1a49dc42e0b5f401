import type { ServerKeys } from './server-keys.ts'

/** A refresh token, taken apart: `v1.<kid>.<sid>.<rotation>.<mac>`. Nothing of it is stored; it can be made again from the session's row. */
export interface PresentedToken {
  readonly sessionId: string
  readonly rotation: number
  readonly kid: string
  readonly mac: string
}

const refreshPattern = /^v1\.([a-z0-9]{1,16})\.([0-9a-f-]{36})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})$/
const handlePattern = /^r1\.([a-z0-9]{1,16})\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/

export function makeRefreshToken(keys: ServerKeys, session: { readonly id: string; readonly salt: string }, rotation: number): string {
  const { kid } = keys.current
  return `v1.${kid}.${session.id}.${rotation}.${keys.current.mac(refreshMessage(kid, session.id, rotation, session.salt))}`
}

export function parseRefreshToken(token: string): PresentedToken | null {
  const [, kid, sessionId, rotation, mac] = refreshPattern.exec(token) ?? []
  if (!kid || !sessionId || !rotation || !mac) return null
  return { kid, sessionId, rotation: Number(rotation), mac }
}

export function isGenuine(keys: ServerKeys, token: PresentedToken, salt: string): boolean {
  const message = refreshMessage(token.kid, token.sessionId, token.rotation, salt)
  return keys.find(token.kid)?.matches(message, token.mac) ?? false
}

/** `r1.<kid>.<sid>.<mac>`: may end that session and nothing else. Good for ever, so that a log-out can be delivered weeks later. */
export function makeRevokeHandle(keys: ServerKeys, sessionId: string): string {
  const { kid } = keys.current
  return `r1.${kid}.${sessionId}.${keys.current.mac(handleMessage(kid, sessionId))}`
}

/** The session that `handle` may end, or `null` if this server did not make it. */
export function readRevokeHandle(keys: ServerKeys, handle: string): string | null {
  const [, kid, sessionId, mac] = handlePattern.exec(handle) ?? []
  if (!kid || !sessionId || !mac) return null
  return keys.find(kid)?.matches(handleMessage(kid, sessionId), mac) ? sessionId : null
}

const refreshMessage = (kid: string, sessionId: string, rotation: number, salt: string) => `v1.${kid}.${sessionId}.${rotation}.${salt}`
const handleMessage = (kid: string, sessionId: string) => `r1.${kid}.${sessionId}`
