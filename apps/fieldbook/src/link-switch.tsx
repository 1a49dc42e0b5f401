import { useId } from 'react'
import type { LinkMode } from '../serve/link-mode.ts'
import { LINK_MODES } from '../serve/link-mode.ts'
import type { LinkView } from './link-client.ts'
import { useLink } from './use-link.ts'

const NAMES: Record<LinkMode, string> = { up: 'Up', slow: 'Slow', down: 'Down', portal: 'Portal' }

const EFFECTS: Record<LinkView, string> = {
  up: 'Requests reach the server.',
  slow: '64 kbit/s, and 0.8 s late.',
  down: 'Every connection to the server is cut.',
  portal: 'A log-in page answers instead of the server.',
  unreachable: 'The fieldbook’s own server is not running. All you see comes from this device.',
}

/** Makes the link to the server fail for real: the requests of this page pass through it. */
export function LinkSwitch() {
  const { link, setLink } = useLink()
  const name = useId()
  return (
    <fieldset className="link-switch">
      <legend className="visually-hidden">Satellite link</legend>
      <div className="segments">
        {LINK_MODES.map((mode) => (
          <label key={mode} className="segment" data-mode={mode}>
            <input type="radio" name={name} value={mode} checked={link === mode} onChange={() => setLink(mode)} />
            <span>{NAMES[mode]}</span>
          </label>
        ))}
      </div>
      <p className="hint">{link ? EFFECTS[link] : ' '}</p>
    </fieldset>
  )
}
