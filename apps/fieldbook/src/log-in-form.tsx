import type { FormEvent } from 'react'
import { useId, useState } from 'react'
import { announce } from './announcements.ts'
import { AuthError, Credentials, nameOf, useFieldbook } from './session.ts'
import { failureText } from './status-text.ts'
import { typedText } from './typed-text.ts'

type Way = 'log-in' | 'register'

interface LogInFormProps {
  /** Given when somebody logs in again: their address. Then there are no guests and no new accounts. */
  readonly again?: { readonly email: string | undefined; readonly onDone: () => void }
}

/** What the server asks of a password that is the only proof. */
const LEAST_PASSWORD = 15

export function LogInForm({ again }: LogInFormProps) {
  const fieldbook = useFieldbook()
  const [way, setWay] = useState<Way>('log-in')
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const id = useId()

  const enter = async (credentials: Credentials, register?: { email: string; password: string }) => {
    setBusy(true)
    setProblem(undefined)
    try {
      if (register) await fieldbook.emailPasswordAuth.registerUser(register)
      const user = await fieldbook.logIn(credentials)
      announce(`Signed in as ${nameOf(user)}.`)
      again?.onDone()
    } catch (error) {
      if (!(error instanceof AuthError)) reportError(error)
      setProblem(error instanceof AuthError ? failureText(error.code, error.message) : 'Something unexpected went wrong.')
      setBusy(false)
    }
  }

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const email = typedText(form, 'email').trim()
    const password = typedText(form, 'password')
    void enter(Credentials.emailPassword(email, password), way === 'register' ? { email, password } : undefined)
  }

  return (
    <form className="stack" onSubmit={submit} aria-busy={busy}>
      <h2>{again ? 'Log in again' : way === 'log-in' ? 'Log in' : 'Create an account'}</h2>
      <label className="field">
        <span>E-mail address</span>
        {/* Not `username`: the browser would write the address down in clear, for whoever has the device next. Password managers fill it all the same. */}
        <input name="email" type="email" autoComplete="off" required defaultValue={again?.email} disabled={busy} />
      </label>
      <label className="field">
        <span>Password</span>
        <input
          name="password"
          type="password"
          autoComplete={way === 'register' ? 'new-password' : 'current-password'}
          minLength={way === 'register' ? LEAST_PASSWORD : undefined}
          aria-describedby={way === 'register' ? `${id}-hint` : undefined}
          required
          disabled={busy}
        />
        {way === 'register' && (
          <small id={`${id}-hint`} className="hint">
            At least {LEAST_PASSWORD} characters: a few words make a good password.
          </small>
        )}
      </label>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <button type="submit" className="button primary" disabled={busy}>
        {busy ? 'One moment…' : way === 'log-in' ? 'Log in' : 'Create account'}
      </button>
      {!again && (
        <>
          <button type="button" className="button" disabled={busy} onClick={() => void enter(Credentials.anonymous())}>
            Go on as guest
          </button>
          <button
            type="button"
            className="link-button"
            disabled={busy}
            onClick={() => {
              setWay(way === 'log-in' ? 'register' : 'log-in')
              setProblem(undefined)
            }}
          >
            {way === 'log-in' ? 'No account yet? Create one' : 'Have an account? Log in'}
          </button>
        </>
      )}
    </form>
  )
}
