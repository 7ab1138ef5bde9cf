/**
 * A form that shows its progress and its errors.
 */
import { fill, h } from "./dom.js";
import { explain } from "./errors.js";

/** @param {{ title: string, fields: (Node | string | false)[], submit: string, working: string, act: () => Promise<void> }} what */
export function formCard({ title, fields, submit, working, act }) {
  const button = h("button", { type: "submit", class: "primary wide" }, submit);
  const problem = h("p", { class: "problem", role: "alert" });
  const form = h("form", { class: "card" }, h("h2", {}, title), ...fields, problem, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(problem);
    fill(button, working);
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      fill(problem, explain(error));
    } finally {
      fill(button, submit);
      button.disabled = false;
    }
  });
  return form;
}
