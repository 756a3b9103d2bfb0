const REDACTED = "[redacted]";

/** Settings whose values are nobody else's business. There is none today; those to come are named like this everywhere. */
const SECRET_NAME =
  /pass(?:word|phrase|wd)?\b|secret|token|credential|private|sasl|jaas|api[-_.]?key|(?:^|[._-])key$/i;

/** In free text: what stands behind such a word, in a URL before the host, or behind "Bearer". */
const SECRET_PAIR =
  /((?:password|passphrase|passwd|secret|token|credentials?|api[-_.]?key)[\w.-]*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|[^\s,;&}]+)/gi;
const URL_LOGIN = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@:]+:[^\s/@]+@/gi;
const BEARER = /\b(Bearer|Basic)\s+[\w.~+/=-]+/g;

/** The value of a setting as it may be shown to others. */
export function redactSetting(name: string, value: string): string {
  return SECRET_NAME.test(name) && value !== "" ? REDACTED : redactText(value);
}

/** A text with what looks like a secret taken out. */
export function redactText(text: string): string {
  return text
    .replace(URL_LOGIN, `$1${REDACTED}@`)
    .replace(SECRET_PAIR, `$1${REDACTED}`)
    .replace(BEARER, `$1 ${REDACTED}`);
}
