import type { Origin } from '../accounts/guess-limits.ts'
import { callerAddress } from '../http/caller-address.ts'
import type { Exchange } from '../http/route.ts'
import type { Services } from '../services.ts'

/** Where a request comes from, as guessing is counted. */
export function originOf({ request, peer }: Exchange<unknown, unknown>, { proxyHops }: Services, deviceId?: string): Origin {
  return { address: callerAddress(request, { incoming: { socket: { remoteAddress: peer } } }, proxyHops), deviceId }
}
