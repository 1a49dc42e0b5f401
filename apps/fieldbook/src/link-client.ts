/** The switch of the satellite link, see `serve/link-control.ts`. */
import type { LinkMode } from '../serve/link-mode.ts'
import { isLinkMode } from '../serve/link-mode.ts'

/** `unreachable`: the fieldbook's own server does not run; everything comes from this device. */
export type LinkView = LinkMode | 'unreachable'

export async function readLink(): Promise<LinkView> {
  try {
    return modeIn(await (await fetch('/__link', { cache: 'no-store' })).json())
  } catch {
    return 'unreachable'
  }
}

export async function switchLink(mode: LinkMode): Promise<LinkView> {
  try {
    return modeIn(await send('PUT', '/__link', { mode }))
  } catch {
    return 'unreachable'
  }
}

/** Ends all sessions of a user at the server, as an administrator would. Resolves with their number. */
export async function revokeSessions(userId: string): Promise<number> {
  const answer = await send('POST', '/__link/revoke', { user_id: userId })
  if (typeof answer === 'object' && answer !== null && 'revoked' in answer && typeof answer.revoked === 'number') return answer.revoked
  throw new Error('The server cannot revoke sessions now.')
}

async function send(method: string, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return answer.json()
}

function modeIn(answer: unknown): LinkView {
  if (typeof answer === 'object' && answer !== null && 'mode' in answer && isLinkMode(answer.mode)) return answer.mode
  return 'unreachable'
}
