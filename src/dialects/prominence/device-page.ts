// The one page of the issuer: where a user approves the code that a client shows.

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** The page, with a code filled in and what there is to say. */
export function devicePage({ code, said }: { code: string; said: string }): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Approve a client</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem }
label { display: block; margin-top: 1rem }
input { width: 100%; font: inherit; padding: .4rem; box-sizing: border-box }
button { font: inherit; margin-top: 1.5rem; padding: .4rem 1.2rem }
</style>
<h1>Approve a client</h1>
<p role="status">${escapeHtml(said)}</p>
<form method="post" autocomplete="off">
<label>Code that the client shows <input name="code" required value="${escapeHtml(code)}"></label>
<label>Your access token <input name="token" type="password"></label>
<p>or</p>
<label>User <input name="user"></label>
<label>Password <input name="password" type="password"></label>
<button>Approve</button>
</form>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => entities[char]!)
}
