/** The connection a request came over; absent when the app is called without a server. */
export interface Connection {
  readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } }
}

/**
 * Who is calling. Behind `proxyHops` proxies of one's own it is what the outermost of them has seen: everything further left in
 * `X-Forwarded-For` is what the caller says.
 */
export function callerAddress(request: Request, { incoming }: Connection, proxyHops: number): string | undefined {
  const seen = [
    ...(request.headers.get('x-forwarded-for') ?? '').split(',').map((address) => address.trim()),
    incoming?.socket.remoteAddress,
  ]
  return (proxyHops === 0 ? undefined : seen.filter(Boolean).at(-1 - proxyHops)) ?? incoming?.socket.remoteAddress
}
