"""`buckler models`: the bundles that come with Buckler."""

from buckler.cli.console import out, print_table
from buckler.models import PROJECT_KEY, list_models, path_of_model


def models() -> None:
    """List the ready-made bundles.

    Every command takes their names in place of a bundle file.
    """
    rows = []
    for name, manifest in list_models().items():
        area = manifest.unseen_sources.get("pair_auroc")
        shown = f"{area:.3f}" if isinstance(area, float) else "-"
        size = f"{path_of_model(name).stat().st_size:,}"
        rows.append((name, manifest.task, ", ".join(manifest.classes), shown, size))
    headings = ("name", "task", "classes", "AUROC on unseen sources", "bytes")
    rows = [(*row[:2], row[2] if len(row[2]) < 50 else row[2][:47] + "…", *row[3:]) for row in rows]
    print_table(headings, rows, right=headings[3:])
    out.print(
        "\nFor a first look: buckler score url http://a.example/. The card tells sources and "
        "limits: buckler bundle show NAME --card.\n`buckler adapt NAME` fits one to your stream. "
        f"Signed by the key {PROJECT_KEY}."
    )
