// Enumerated values in requests. They are separate from the schemas, so that the CLI does not load zod for them.

export const storedWindowStates = ['freezing', 'frozen', 'failed'] as const
export const windowSorts = ['created', 'name', 'thawed', 'tokens'] as const
export const sortOrders = ['asc', 'desc'] as const
export const thawTargets = ['engine', 'l1'] as const
