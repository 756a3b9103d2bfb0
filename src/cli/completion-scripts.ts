/** The shells that there is a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * The scripts ask the program itself, by the hidden command `__complete`, with the words up to the cursor; an answer line is
 * a candidate, a tab and its description. Without an answer the shell completes files.
 */
export const COMPLETE_COMMAND = "__complete";

/*
 * bash takes words apart at ":" and "=" as well, so the line is split here, at blanks, and what stands before the last of
 * those signs is cut from the answers again.
 */
const BASH = `# Completion of lograft for bash.
_lograft() {
  local line="\${COMP_LINE:0:COMP_POINT}" candidate prefix="" typed
  local -a words
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  typed="\${words[\${#words[@]}-1]}"
  if [[ "$typed" == *[:=]* ]]; then prefix="\${typed%"\${typed##*[:=]}"}"; fi
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    COMPREPLY+=("\${candidate#"$prefix"}")
  done < <("$1" ${COMPLETE_COMMAND} "\${words[@]:1}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _lograft lograft
`;

const ZSH = `#compdef lograft
# Completion of lograft for zsh.
_lograft() {
  local -a lines described
  local line
  lines=("\${(@f)$(\${words[1]} ${COMPLETE_COMMAND} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ -n "$line" ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#described )); then
    _describe lograft described
  else
    _files
  fi
}
compdef _lograft lograft
`;

const FISH = `# Completion of lograft for fish.
function __lograft_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l found ($words[1] ${COMPLETE_COMMAND} $words[2..] "$typed" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$typed"
  end
end
complete -c lograft -f -a '(__lograft_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** How each is put to use, for the help. */
export const INSTALL_LINES: Readonly<Record<Shell, string>> = {
  bash: `echo 'eval "$(lograft completion bash)"' >> ~/.bashrc`,
  zsh: `echo 'eval "$(lograft completion zsh)"' >> ~/.zshrc   # behind compinit`,
  fish: "lograft completion fish > ~/.config/fish/completions/lograft.fish",
};
