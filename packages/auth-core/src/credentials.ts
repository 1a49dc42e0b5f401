/**
 * What a person or a program proves who they are with. Plain data, consumed by one log-in and never kept:
 * the constructors of `Credentials` are the only makers, and `AuthBackend` adapters the only readers.
 */
export type Credentials =
  | { readonly provider: 'anonymous'; readonly reuse: boolean }
  | { readonly provider: 'email-password'; readonly email: string; readonly password: string }
  | { readonly provider: 'api-key'; readonly key: string }
  | { readonly provider: 'jwt'; readonly token: string }
  | { readonly provider: 'function'; readonly payload: unknown }
  | { readonly provider: 'facebook'; readonly accessToken: string }
  | { readonly provider: 'google'; readonly idToken: string }
  | { readonly provider: 'google'; readonly authCode: string }
  | { readonly provider: 'apple'; readonly idToken: string }

export type ProviderName = Credentials['provider']
