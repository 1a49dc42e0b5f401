import { useEffect, useRef, useState } from 'react'
import { LogInForm } from './log-in-form.tsx'
import type { FieldbookAuthState } from './session.ts'
import { observationsText, overReasonText } from './status-text.ts'

interface LoginRequiredBannerProps {
  readonly auth: FieldbookAuthState
  readonly pending: number
}

/** Says that the session is over while the book stays open for reading and writing, and offers to log in again. */
export function LoginRequiredBanner({ auth, pending }: LoginRequiredBannerProps) {
  const [asking, setAsking] = useState(false)
  if (auth.kind !== 'login-required') return null

  const waiting = pending > 0 ? `${observationsText(pending)} ${pending === 1 ? 'is' : 'are'} waiting.` : 'Nothing is waiting.'
  return (
    <section className="banner" aria-label="Login required">
      <div>
        <strong>Log in again to go on syncing: {overReasonText(auth.reason)}</strong>
        <p>
          Go on reading and writing; nothing is sent meanwhile. {waiting}
          {!auth.canReturn && ' A guest cannot log in again: what you wrote stays here until you log out.'}
        </p>
      </div>
      {auth.canReturn && (
        <button type="button" className="button primary" onClick={() => setAsking(true)}>
          Log in again
        </button>
      )}
      {asking && <LogInDialog email={auth.user.profile.email} onClose={() => setAsking(false)} />}
    </section>
  )
}

function LogInDialog({ email, onClose }: { readonly email: string | undefined; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} className="dialog" aria-label="Log in again" onClose={onClose}>
      <LogInForm again={{ email, onDone: onClose }} />
      <button type="button" className="link-button" onClick={onClose}>
        Not now
      </button>
    </dialog>
  )
}
