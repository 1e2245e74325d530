"""Label Studio's Data Manager: the table of a project's tasks, and the menu of what can be done to those chosen."""

from __future__ import annotations

from playwright.sync_api import Response

from tests.e2e.editor import Editor


def retrieve_predictions(editor: Editor, project: int) -> None:
    """Chooses all tasks and "Retrieve Predictions" from their menu; waits until Label Studio has done it."""
    page = editor.page
    page.goto(f"{editor.label_studio.url}/projects/{project}/data")
    page.get_by_label("Select all rows").check()
    page.get_by_label("Tasks Actions").click()
    page.get_by_label("Retrieve Predictions").click()
    with page.expect_response(_is_done) as expected:
        page.get_by_test_id("dialog-ok-button").click()
    assert expected.value.ok, expected.value.text()


def _is_done(response: Response) -> bool:
    return response.request.method == "POST" and "id=retrieve_tasks_predictions" in response.url
