import { useEffect, useState } from 'react'
import type { RxCollection, RxDocument } from 'rxdb'

/** All documents of a collection, kept current over writes of this tab, other tabs and sync; `undefined` until they are read. */
export function useDocuments<Doc>(collection: RxCollection<Doc>): readonly RxDocument<Doc>[] | undefined {
  const [documents, setDocuments] = useState<readonly RxDocument<Doc>[]>()
  useEffect(() => {
    const subscription = collection.find().$.subscribe(setDocuments)
    return () => subscription.unsubscribe()
  }, [collection])
  return documents
}
