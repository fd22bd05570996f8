// Figures and times as the page's language and the visitor's time zone have them.
const language = document.documentElement.lang;
const number = (options) => new Intl.NumberFormat(language, options);
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
const FORMS = {
  day: new Intl.DateTimeFormat(language, {dateStyle: "long"}),
  moment: new Intl.DateTimeFormat(language, {dateStyle: "medium", timeStyle: "short"}),
};

export const percent = (value) => number({style: "percent", maximumFractionDigits: 0}).format(value / 100);

export function bytes(count) {
  let step = 0;
  while (count >= 1000 && step < UNITS.length - 1) {
    count /= 1000;
    step += 1;
  }
  const digits = step && count < 100 ? 1 : 0;
  return number({style: "unit", unit: UNITS[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: digits}).format(count);
}

export function span(seconds) {
  const unit = (value, name) => number({style: "unit", unit: name, unitDisplay: "short"}).format(value);
  if (seconds < 60) return unit(Math.round(seconds), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return unit(minutes, "minute");
  return [unit(Math.floor(minutes / 60), "hour"), ...minutes % 60 ? [unit(minutes % 60, "minute")] : []].join(" ");
}

export function localTimes(root) {
  for (const each of root.querySelectorAll("time[data-time]")) {
    const at = new Date(each.dateTime);
    const form = FORMS[each.dataset.time];
    if (form) each.textContent = form.format(at);
    else each.title = FORMS.moment.format(at);
  }
}
