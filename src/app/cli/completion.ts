// `switchyard completion bash|zsh|fish`: a script that completes commands and their options, made from the commands
// themselves. The README says how to load it.

import { Argument, type Command } from 'commander'

export function add(program: Command): void {
  program
    .command('completion')
    .description('Print a script for your shell that completes commands and options')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { commands } = await import('./commands.ts')
      // Only the command that was asked for is loaded; completing needs them all.
      for (const adding of await commands([])) {
        try {
          adding(program)
        } catch {
          // This one is there already.
        }
      }
      process.stdout.write(scripts[shell](wordsOf(program)))
    })
}

/** Each command (`token create` is one) with what may follow it. */
type Words = ReadonlyMap<string, readonly string[]>

function wordsOf(command: Command, path = ''): Map<string, string[]> {
  const words = new Map<string, string[]>()
  const options = command.options.flatMap(option => (option.long ? [option.long] : []))
  words.set(path, [...command.commands.map(sub => sub.name()), ...options, '--help'])
  for (const sub of command.commands) {
    for (const [name, list] of wordsOf(sub, `${path} ${sub.name()}`.trim())) words.set(name, list)
  }
  return words
}

const scripts: Readonly<Record<'bash' | 'zsh' | 'fish', (words: Words) => string>> = {
  bash: words => `# bash completion of switchyard
_switchyard() {
  local word=\${COMP_WORDS[COMP_CWORD]} path= at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in -*) ;; *) path="\${path:+$path }\${COMP_WORDS[at]}" ;; esac
  done
  local words
  while :; do
    case $path in
${[...words].map(([path, list]) => `      "${path}") words="${list.join(' ')}" ;;`).join('\n')}
      *) path=\${path% *}; [ "$path" = "\${path#* }" ] && [ -z "$words" ] && case $path in ${topLevel(words)}) continue ;; *) path= ;; esac; continue ;;
    esac
    break
  done
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  [ \${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
complete -F _switchyard switchyard
`,
  zsh: words => `#compdef switchyard
autoload -U +X bashcompinit && bashcompinit
${scripts.bash(words)}`,
  fish: words =>
    [...words]
      .map(([path, list]) => {
        const condition =
          path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path.split(' ').at(-1)}`
        return list
          .map(word => (word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`))
          .map(what => `complete -c switchyard -n '${condition}' ${what}`)
          .join('\n')
      })
      .join('\n')
      .concat('\n'),
}

function topLevel(words: Words): string {
  return [...words.keys()].filter(path => path !== '' && !path.includes(' ')).join('|')
}
