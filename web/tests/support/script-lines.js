/** Events and commands as lines of text, in which members have the names that scripts use; tests/vectors/README.md describes the form. */

const isPrivate = (event) => (event.private ? " (private)" : "");

/** @returns {string} */
export function eventLine(world, event) {
  const id = (fingerprint) => world.idOf(fingerprint);
  const names = (members) => members.map(id).sort().join(", ");
  const who = () => `${id(event.from)}${isPrivate(event)}`;
  const referred = ({ of, n, fit }) => `${id(of)} ${n} ${fit}`;
  switch (event.type) {
    case "member-joined":
      return `joined ${id(event.member)}${event.live ? "" : " before"}`;
    case "not-here-yet":
      return `not here yet ${event.userId}`;
    case "member-left":
      return `left ${id(event.member)} ${event.reason}`;
    case "message": {
      const marks = [event.early && "early", event.re && `re ${referred(event.re)}`, event.gone !== undefined && `gone ${event.gone}`];
      return `${who()}: ${event.text}${marks.filter(Boolean).map((mark) => ` [${mark}]`).join("")}`;
    }
    case "edited":
      return `${who()} edited ${event.n}: ${event.text}`;
    case "deleted":
      return `${who()} deleted ${event.n}`;
    case "reacted":
      return `${who()} reacted to ${referred(event.re)}: ${event.text}`;
    case "typing":
      return `${id(event.from)} typing ${event.on ? "on" : "off"}`;
    case "read":
      return `${id(event.from)} read ${id(event.of)} ${event.n}`;
    case "settings":
      return `settings ${event.gone} ${event.marks ? "marks" : "no-marks"}`;
    case "unsupported":
      return `${id(event.from)} unsupported ${event.name}`;
    case "missing":
      return `missing ${event.count} of ${id(event.member)}${event.private ? " private" : ""}`;
    case "not-sent":
      return `not sent ${event.reason}`;
    case "unconfirmed":
      return `unconfirmed ${names(event.members)}`;
    case "behind":
      return `behind ${id(event.member)}`;
    case "owner-changed":
      return `owner ${id(event.owner)} ${event.right}`;
    case "owner-gone":
      return `owner gone, heir ${event.heir === undefined ? "nobody" : id(event.heir)}${event.soon ? " soon" : ""}`;
    case "owner-silent":
      return `owner silent ${event.minutes}`;
    case "hand-over-failed":
      return `hand-over failed ${id(event.to)}`;
    case "rekeyed":
      return `rekeyed ${event.epoch}`;
    case "rekey-undelivered":
      return `rekey undelivered ${names(event.members)}`;
    case "alarm": {
      const one = ({ fingerprint, userId }) => (fingerprint === undefined ? userId : id(fingerprint));
      const { kind, who: about, other } = event.alarm;
      return `alarm ${kind}${about ? ` ${one(about)}` : ""}${other ? ` and ${one(other)}` : ""}`;
    }
    case "ended":
      return `ended ${["owner-left", "expired"].includes(event.ending) ? "closed" : event.ending}`;
    default:
      return event.type;
  }
}

/** @returns {string} */
export function commandLine(cmd, data) {
  switch (cmd) {
    case "send-messages": {
      const named = data.to.map(({ to_user_id, content }) => ` ${to_user_id}${content === undefined ? "" : "+"}`).sort();
      return `send${named.join("")}${data.rest === undefined ? "" : " rest"}${data.keep === false ? " no-keep" : ""}`;
    }
    case "remove-member":
    case "transfer-owner":
      return `${cmd} ${data.user_id}`;
    default:
      return cmd;
  }
}
