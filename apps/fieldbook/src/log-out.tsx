import { useEffect, useRef, useState } from 'react'
import { announce } from './announcements.ts'
import type { FieldbookUser, LeaveResult } from './session.ts'
import { AuthError, isGuest, useFieldbook } from './session.ts'
import { observationsText } from './status-text.ts'

const UPLOAD_TIMEOUT_MS = 15_000

type Unsynced = 'upload' | 'keep' | 'discard'

/** Logs out at once when nothing would be left behind, else asks what to do with it. */
export function LogOut({ user, pending }: { readonly user: FieldbookUser; readonly pending: number }) {
  const fieldbook = useFieldbook()
  const guest = isGuest(user)
  const [asking, setAsking] = useState(false)
  const [leaving, setLeaving] = useState<Unsynced>()
  const [problem, setProblem] = useState<string>()

  const leave = async (unsynced: Unsynced) => {
    setLeaving(unsynced)
    setProblem(undefined)
    try {
      const result = await fieldbook.logOut({ unsynced, timeoutMs: UPLOAD_TIMEOUT_MS })
      performance.mark('logged-out', { detail: Date.now() })
      announce(leftText(result))
    } catch (error) {
      setAsking(true)
      setLeaving(undefined)
      setProblem(problemText(error))
    }
  }

  return (
    <>
      <button
        type="button"
        className="button small"
        disabled={leaving !== undefined}
        onClick={() => (pending > 0 || guest ? setAsking(true) : void leave('keep'))}
      >
        Log out
      </button>
      {asking && (
        <LogOutDialog
          guest={guest}
          pending={pending}
          leaving={leaving}
          problem={problem}
          onLeave={(unsynced) => void leave(unsynced)}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}

interface LogOutDialogProps {
  readonly guest: boolean
  readonly pending: number
  readonly leaving: Unsynced | undefined
  readonly problem: string | undefined
  readonly onLeave: (unsynced: Unsynced) => void
  readonly onClose: () => void
}

function LogOutDialog({ guest, pending, leaving, problem, onLeave, onClose }: LogOutDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const busy = leaving !== undefined
  const them = pending === 1 ? 'it' : 'them'
  return (
    <dialog ref={dialog} className="dialog stack" aria-labelledby="log-out-title" onClose={onClose}>
      <h2 id="log-out-title">{pending > 0 ? `${observationsText(pending)} not sent yet` : 'Log out as guest?'}</h2>
      {guest && <p>You are a guest: once you have logged out, nobody can open your observations on this device again.</p>}
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="choices">
        {pending > 0 ? (
          <>
            <button type="button" className="choice" disabled={busy} onClick={() => onLeave('upload')}>
              <strong>{leaving === 'upload' ? 'Sending…' : 'Send, then log out'}</strong>
              <span>
                {guest
                  ? `If it does not work within ${UPLOAD_TIMEOUT_MS / 1000} s, you stay signed in.`
                  : `What cannot be sent within ${UPLOAD_TIMEOUT_MS / 1000} s is kept on this device.`}
              </span>
            </button>
            <button type="button" className="choice" disabled={busy || guest} onClick={() => onLeave('keep')}>
              <strong>Keep on this device</strong>
              <span>{guest ? 'Not possible for guests: nobody could open them again.' : `Log in here again to send ${them}.`}</span>
            </button>
            <button type="button" className="choice danger" disabled={busy} onClick={() => onLeave('discard')}>
              <strong>Discard {observationsText(pending)}</strong>
              <span>This cannot be undone.</span>
            </button>
          </>
        ) : (
          <button type="button" className="choice" disabled={busy} onClick={() => onLeave('upload')}>
            <strong>{busy ? 'One moment…' : 'Log out'}</strong>
            <span>Everything you wrote has been sent.</span>
          </button>
        )}
      </div>
      <button type="button" className="link-button" disabled={busy} onClick={onClose}>
        Stay signed in
      </button>
    </dialog>
  )
}

function leftText({ uploaded, kept, discarded, unknownOutcome, silentTabs }: LeaveResult): string {
  const parts = [
    uploaded > 0 && `${observationsText(uploaded)} sent`,
    kept > 0 && `${observationsText(kept)} kept on this device`,
    discarded > 0 && `${observationsText(discarded)} discarded`,
    unknownOutcome > 0 && `${unknownOutcome} of which the server may already have`,
    silentTabs > 0 && 'another tab did not answer in time',
  ].filter((part) => part !== false)
  return ['Logged out', ...parts].join(', ').concat('.')
}

function problemText(error: unknown): string {
  if (error instanceof AuthError && error.code === 'pending-writes') {
    return `${observationsText(error.pending ?? 0)} could not be sent. You are still signed in and nothing has changed.`
  }
  return error instanceof Error ? error.message : 'Logging out did not work. You are still signed in.'
}
