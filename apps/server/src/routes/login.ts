import { once } from '../accounts/idempotency.ts'
import { logIn, logInAnonymously } from '../accounts/log-in.ts'
import { prove } from '../accounts/prove.ts'
import { whoami } from '../accounts/whoami.ts'
import { route } from '../http/route.ts'
import { loginShape } from '../providers/credentials.ts'
import { providerOff } from '../providers/provider-refusal.ts'
import { originOf } from './caller.ts'
import { tokenAnswerShape } from './token-answer.ts'

export const loginRoute = route({
  method: 'POST',
  path: '/v1/auth/login',
  summary: 'Log in and open a session; the first log-in by an outside provider makes the account',
  bearer: false,
  limit: 'credentials',
  noStore: true,
  body: loginShape,
  answers: { 200: tokenAnswerShape },
  async handle(exchange, services) {
    const { body, request, url } = exchange
    const origin = originOf(exchange, services, body.device_id)
    return once(
      services,
      { request, body, caller: url.pathname },
      async () => {
        if (body.provider !== 'anonymous') return prove(services, body, origin)
        if (!services.accounts.config.providers.anonymous) throw providerOff(body.provider)
        return null
      },
      async (tx, proof) => {
        const { session, isNew } = proof ? await logIn(tx, services, proof, body.device_id) : await logInAnonymously(tx, services)
        const who = await whoami(tx, session.user_id)
        return { status: 200, body: { ...who, is_new: isNew }, session }
      },
    )
  },
})
