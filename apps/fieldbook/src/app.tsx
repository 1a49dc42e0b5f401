import { Fieldbook } from './fieldbook.tsx'
import { LogInPage } from './log-in-page.tsx'
import { NoticePage } from './notice-page.tsx'
import { useAuthState } from './session.ts'

/** Chooses the page by who is signed in. */
export function App() {
  const auth = useAuthState()
  switch (auth.kind) {
    case 'restoring':
      return <NoticePage title="Opening the fieldbook…" />
    case 'signed-out':
      return <LogInPage />
    case 'signed-in':
    case 'login-required':
      return <Fieldbook key={auth.user.id} user={auth.user} />
    case 'locked':
      return <NoticePage title="The fieldbook is locked">Unlock it in the tab in which it was locked.</NoticePage>
    case 'unavailable':
      return (
        <NoticePage title="The fieldbook cannot be opened">
          This browser does not give access to what is stored on this device ({auth.reason}). Nothing was removed.
        </NoticePage>
      )
  }
}
