import { type AppContext, askForApp, notSupported } from './app-context.ts'
import { AuthError } from './errors.ts'
import type { BackendContext, EmailPasswordBackend } from './ports.ts'
import { randomId } from './random-id.ts'
import type { CallOptions } from './user-calls.ts'

/** Accounts with an e-mail address and a password, before anybody is logged in. */
export interface EmailPasswordAuth {
  /** @throws {AuthError} `account-exists`, `weak-password`, `invalid-argument` */
  registerUser(account: { readonly email: string; readonly password: string }, options?: CallOptions): Promise<void>
  confirmUser(proof: { readonly token: string; readonly tokenId: string }, options?: CallOptions): Promise<void>
  resendConfirmationEmail(account: { readonly email: string }, options?: CallOptions): Promise<void>
  retryCustomConfirmation(account: { readonly email: string }, options?: CallOptions): Promise<void>
  sendResetPasswordEmail(account: { readonly email: string }, options?: CallOptions): Promise<void>
  resetPassword(
    proof: { readonly token: string; readonly tokenId: string; readonly password: string },
    options?: CallOptions,
  ): Promise<void>
  callResetPasswordFunction(account: { readonly email: string; readonly password: string }, ...args: unknown[]): Promise<void>
}

export function emailPasswordAuth(context: AppContext): EmailPasswordAuth {
  const ask = async (
    doing: string,
    fields: Readonly<Record<string, unknown>>,
    call: (backend: EmailPasswordBackend, ask: BackendContext) => Promise<void> | undefined,
    { signal }: CallOptions = {},
  ): Promise<void> => {
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value !== 'string' || value === '')
        throw new AuthError('invalid-argument', `\`${name}\` must be a string that is not empty.`)
    }
    const { emailPassword } = context.backend
    if (!emailPassword) throw notSupported('keep accounts with a password')
    const idempotencyKey = randomId(context.world.random)
    await askForApp(
      context,
      doing,
      async (asked) => {
        const answer = call(emailPassword, { ...asked, idempotencyKey })
        if (!answer) throw notSupported(doing)
        await answer
      },
      signal,
    )
  }

  return {
    registerUser: ({ email, password }, options) =>
      ask('register', { email, password }, (backend, asked) => backend.register({ email, password }, asked), options),
    confirmUser: ({ token, tokenId }, options) =>
      ask('confirm the account', { token, tokenId }, (backend, asked) => backend.confirm?.({ token, tokenId }, asked), options),
    resendConfirmationEmail: ({ email }, options) =>
      ask('send the confirmation again', { email }, (backend, asked) => backend.resendConfirmation?.(email, asked), options),
    retryCustomConfirmation: ({ email }, options) =>
      ask('retry the confirmation', { email }, (backend, asked) => backend.retryCustomConfirmation?.(email, asked), options),
    sendResetPasswordEmail: ({ email }, options) =>
      ask('send the reset mail', { email }, (backend, asked) => backend.sendResetMail?.(email, asked), options),
    resetPassword: ({ token, tokenId, password }, options) =>
      ask(
        'reset the password',
        { token, tokenId, password },
        (backend, asked) => backend.reset?.({ token, tokenId, password }, asked),
        options,
      ),
    callResetPasswordFunction: ({ email, password }, ...args) =>
      ask('reset the password', { email, password }, (backend, asked) => backend.resetByFunction?.({ email, password }, args, asked)),
  }
}
