"""The built-in purposes and kinds of data in German, for pages that show a person's switches in it.

English, the words are those of the vocabulary; and what terms declare is said in the words of the terms, whatever the
language is.
"""

from collections.abc import Mapping
from typing import Final

PURPOSES_DE: Final[Mapping[str, tuple[str, str, str]]] = {
    "train/search": (
        "Suche trainieren",
        "Die Suche lernt daraus, welche Treffer geöffnet werden, damit bessere zuerst kommen.",
        "Die Suche lernt nicht von Ihnen.",
    ),
    "train/recommend": (
        "Empfehlungen trainieren",
        "Empfehlungen lernen daraus, was geöffnet und wem beigetreten wird.",
        "Empfehlungen lernen nicht von Ihnen.",
    ),
    "train/summary": (
        "Zusammenfassungen trainieren",
        "Zusammenfassungen lernen aus Mitschriften und Korrekturen, welche Momente einer Besprechung zählen.",
        "Zusammenfassungen lernen nicht aus dem, was Sie in Besprechungen sagen.",
    ),
    "train/compose": (
        "Schreibhilfe trainieren",
        (
            "Die Schreibhilfe lernt aus Chatnachrichten, welche Wörter aufeinander folgen. Sie schlägt nur vor, "
            "was mehrere geschrieben haben."
        ),
        "Die Schreibhilfe lernt nicht aus dem, was Sie schreiben.",
    ),
    "train/diagnose": (
        "Diagnose trainieren",
        "Die Diagnose lernt aus Messwerten von Verbindungen und Geräten, welche Sitzungen bald ausfallen und warum.",
        "Die Diagnose lernt nicht aus Ihren Sitzungen.",
    ),
    "train/speech": (
        "Spracherkennung trainieren",
        (
            "Kein Modell lernt hier aus dem Ton selbst, wie auch immer Sie antworten: Die Spracherkennung wird "
            "benutzt, wie sie ist."
        ),
        "Die Spracherkennung lernt nicht von Ihrer Stimme.",
    ),
    "feature/search": (
        "Suche",
        "Findet, was in Besprechungen, Chats und Dateien gesagt und geschrieben wurde, die Sie sehen dürfen.",
        "Was Sie gesagt oder geschrieben haben, erscheint in niemandes Suche.",
    ),
    "feature/recommend": (
        "Empfehlungen",
        "Schlägt Kanäle, Menschen und Dokumente vor, ausgehend von dem, was Sie benutzt haben.",
        "Sie erhalten keine Empfehlungen aus dem, was Sie tun.",
    ),
    "feature/summary": (
        "Zusammenfassungen",
        (
            "Zeigt wichtige Momente, Beschlüsse und Aufgaben einer Besprechung als Zitate, jedes mit einem "
            "Verweis auf die Stelle."
        ),
        "Keine Zusammenfassung zitiert Sie.",
    ),
    "feature/compose": (
        "Schreibhilfe",
        "Ergänzt und überarbeitet Ihre Chatnachrichten, wenn Sie darum bitten. Sie sendet nie etwas.",
        "Die Schreibhilfe wird Ihnen nicht angeboten.",
    ),
    "feature/diagnose": (
        "Diagnose",
        "Warnt, wenn eine Sitzung bald ausfällt, und nennt die wahrscheinliche Ursache.",
        "Niemand wird vor Störungen in Ihren Sitzungen gewarnt.",
    ),
    "feature/transcribe": (
        "Mitschrift",
        "Schreibt auf, was in Aufnahmen von Besprechungen gesagt wird, jede Tonspur für sich.",
        "Was Sie in Aufnahmen sagen, wird nicht aufgeschrieben.",
    ),
    "advertising": (
        "Werbung",
        "Wählt Werbung nach Ihren Daten aus.",
        "Keine Werbung benutzt Ihre Daten.",
    ),
    "tracking": (
        "Nachverfolgung",
        "Verfolgt, was Sie auf anderen Seiten und in anderen Apps tun.",
        "Sie werden auf anderen Seiten und in anderen Apps nicht verfolgt.",
    ),
}
"""What each is called, what it does with a yes, and what a no takes away."""

CATEGORIES_DE: Final[Mapping[str, str]] = {
    "service/usage": "welche Funktionen und Treffer Sie benutzen",
    "service/telemetry": "Messwerte von Verbindungen und Geräten",
    "service/diagnostics": "Fehlerberichte",
    "content/audio": "Ton von Besprechungen",
    "content/video": "Video von Besprechungen",
    "content/chat": "Chatnachrichten",
    "content/transcript": "Mitschriften von Besprechungen",
    "content/files": "Dateien",
}
