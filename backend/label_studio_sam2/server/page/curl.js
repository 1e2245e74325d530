// A request as a command for bash, zsh or any POSIX shell. It goes in as a here-document: an argument may not be
// longer than 128 KiB on Linux, and a picture is.

const SLOT = '@@medium@@';

/**
 * @param {string} route the address of /predict
 * @param {object} shell how the shell gets at the medium (see source.js)
 * @param {(medium: string) => object} request the request for a medium
 */
export function command(route, shell, request, password) {
  const curl = `curl -sS ${password ? '-u "$BASIC_AUTH_USER:$BASIC_AUTH_PASS" ' : ''}`;
  const post = `${curl}${quoted(route)} -H 'Content-Type: application/json' --data-binary @-`;
  if (shell.address) return `${post} <<'END'\n${JSON.stringify(request(shell.address))}\nEND\n`;
  const read = shell.served ? `${curl}${quoted(shell.served)} | base64` : `base64 < ${quoted(shell.file)}`;
  const body = expandable(JSON.stringify(request(SLOT))).replace(SLOT, `data:${shell.type};base64,$medium`);
  return `medium=$(${read} | tr -d '\\n')\n${post} <<END\n${body}\nEND\n`;
}

/** What one has to know to run it. */
export function note(shell, password) {
  const where = shell.file ? `Run it in the folder that holds ${shell.file}. ` : '';
  return `${where}${password ? 'Set BASIC_AUTH_USER and BASIC_AUTH_PASS first. ' : ''}For bash, zsh and their like.`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const expandable = (text) => text.replace(/[\\$`]/g, '\\$&');
