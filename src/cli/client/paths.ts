// REST paths.

export const windowPath = (name: string) => `/cwm/v1/windows/${encodeURIComponent(name)}`
export const sessionPath = (id: string) => `/cwm/v1/sessions/${encodeURIComponent(id)}`
export const libraryPath = (name: string) => `/cwm/v1/libraries/${encodeURIComponent(name)}`
export const deletionPath = (id: string) => `/cwm/v1/deletions/${encodeURIComponent(id)}`
