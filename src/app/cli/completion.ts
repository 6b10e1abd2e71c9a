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
  local first=\${COMP_WORDS[1]-} second=\${COMP_WORDS[2]-} words=
  [ "$COMP_CWORD" -gt 1 ] || first=
  [ "$COMP_CWORD" -gt 2 ] || second=
  case "$first $second" in
${cases(words, path => path.includes(' '))}
    *) case "$first" in
${cases(words, path => !path.includes(' '))}
    esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _switchyard switchyard
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

function cases(words: Words, wanted: (path: string) => boolean): string {
  const rows = [...words].filter(([path]) => wanted(path))
  return rows.map(([path, list]) => `    "${path}") words="${list.join(' ')}" ;;`).join('\n')
}
