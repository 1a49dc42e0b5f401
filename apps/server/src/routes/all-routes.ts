import type { Route } from '../http/route.ts'
import { apiKeyRoutes } from './accounts-api-keys.ts'
import { emailRoutes } from './accounts-email.ts'
import { userRoutes } from './accounts-user.ts'
import { devMailRoute } from './dev-mail.ts'
import { devRevokeSessionsRoute } from './dev-revoke-sessions.ts'
import { healthRoute } from './health.ts'
import { jwksRoute } from './jwks.ts'
import { loginRoute } from './login.ts'
import { oauthMetadataRoute } from './oauth-metadata.ts'
import { oauthRevokeRoute } from './oauth-revoke.ts'
import { oauthTokenRoute } from './oauth-token.ts'
import { openApiRoute } from './openapi.ts'
import { profileRoute } from './profile.ts'
import { readyRoute } from './ready.ts'
import { refreshRoute } from './refresh.ts'
import { registerRoute } from './register.ts'
import { revokeRoute } from './revoke.ts'
import { listSessionsRoute, revokeOtherSessionsRoute, revokeSessionRoute } from './sessions.ts'
import { pullRoute } from './sync-pull.ts'
import { pushRoute } from './sync-push.ts'
import { streamRoute } from './sync-stream.ts'

const publicRoutes: readonly Route[] = [
  registerRoute,
  loginRoute,
  refreshRoute,
  revokeRoute,
  profileRoute,
  ...emailRoutes,
  ...userRoutes,
  ...apiKeyRoutes,
  listSessionsRoute,
  revokeSessionRoute,
  revokeOtherSessionsRoute,
  pullRoute,
  pushRoute,
  streamRoute,
  oauthTokenRoute,
  oauthRevokeRoute,
  oauthMetadataRoute,
  jwksRoute,
  openApiRoute,
  healthRoute,
  readyRoute,
]

export const allRoutes = ({ devRoutes }: { readonly devRoutes: boolean }): readonly Route[] =>
  devRoutes ? [...publicRoutes, devRevokeSessionsRoute, devMailRoute] : publicRoutes
