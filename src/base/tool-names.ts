// The tools by which agents control cwm: their names in the MCP server, and how to recognize an agent's own name for one.

export const toolNames = [
  'window_freeze',
  'window_thaw',
  'window_list',
  'window_status',
  'window_clone',
  'window_delete',
  'window_ask',
  'windows_ask',
  'library_add',
  'session_list',
  'cache_stats',
  'health_check',
  'auto_freeze_config',
] as const

export type ToolName = (typeof toolNames)[number]

/** Agents prefix the tool's name with the server's: `mcp__cwm__window_freeze`, `cwm_window_freeze`, `cwm.window_freeze`. */
export function toolOf(name: string): ToolName | undefined {
  return toolNames.find(
    (tool) => name === tool || (name.endsWith(tool) && /[_.:/-]/.test(name.at(-tool.length - 1) ?? '')),
  )
}
