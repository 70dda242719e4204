// Enumerated values in requests. They are separate from the schemas, so that the CLI does not load zod for them.

export const storedWindowStates = ['freezing', 'frozen', 'failed'] as const
export const windowSorts = ['created', 'name', 'thawed', 'tokens'] as const
export const pinStates = ['none', 'pinning', 'pinned', 'released'] as const
export const sessionStates = ['named', 'recognized', 'thawed', 'rolled_over', 'truncated', 'cold'] as const
export const sessionSorts = ['last_turn', 'created', 'turns', 'tokens', 'id'] as const
/** What can be done to several windows at once. */
export const bulkActions = ['tag', 'untag', 'pin', 'unpin', 'delete'] as const
export const sortOrders = ['asc', 'desc'] as const
export const thawTargets = ['engine', 'l1'] as const
