// The completion scripts for shells. They ask `cwm __complete` at each Tab, so they fit every version of cwm.
// Its answer: one candidate per line, after a tab its description; or the one line `:files`.

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** The hidden command that the scripts call, with the words from after `cwm` to the cursor. */
export const COMPLETE = '__complete'
export const FILES = ':files'

// Bash splits words at = and : too, and replaces only what follows the last one, so words are split by blanks here, and that part is left out.
// Read without -r undoes the backslashes that an earlier Tab added. A comma needs none, although %q adds one: lists such as tenant,key stay readable.
// No mapfile and no compopt without a check, because macOS has Bash 3.2.
const bash = `# Completion of cwm for Bash. Load it with: source <(cwm completion bash)
_cwm() {
  local line="\${COMP_LINE:0:COMP_POINT}" current value rest prefix='' mark
  local -a words=()
  read -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]}-1]}
  for mark in = :; do
    [[ $COMP_WORDBREAKS == *"$mark"* && $current == *"$mark"* ]] && {
      value=\${current%"\${current##*"$mark"}"}
      [[ \${#value} -gt \${#prefix} ]] && prefix=$value
    }
  done
  COMPREPLY=()
  while IFS=$'\\t' read -r value rest; do
    if [[ $value == ${FILES} ]]; then
      type compopt &> /dev/null && compopt -o filenames 2> /dev/null
      while read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "\${current#"$prefix"}")
      return
    fi
    value=\${value#"$prefix"}
    printf -v value %q "$value"
    value=\${value//\\\\,/,}
    COMPREPLY+=("$value")
  done < <("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2> /dev/null)
}
complete -F _cwm cwm
`

const zsh = `#compdef cwm
# Completion of cwm for Zsh. Load it with: source <(cwm completion zsh)
_cwm() {
  local line
  local -a candidates
  for line in "\${(@f)$("\${(Q)words[1]}" ${COMPLETE} "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}"; do
    if [[ $line == ${FILES} ]]; then
      _files
      return
    fi
    [[ -n $line ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe -t cwm cwm candidates
}
if [[ \${funcstack[1]} == _cwm ]]; then _cwm "$@"; else compdef _cwm cwm; fi
`

const fish = `# Completion of cwm for fish. Load it with: cwm completion fish | source
function __cwm_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l candidates ($words[1] ${COMPLETE} $words[2..-1] 2> /dev/null)
    if test "$candidates" = ${FILES}
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $candidates
    end
end
complete -c cwm -f -a '(__cwm_complete)'
`

export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish }
