"""German: how people settle things, hand them out and leave them open."""

import re
from typing import Final

from volition.learning.families.summary.languages.phrases import Phrases, any_of
from volition.learning.families.summary.sentences import words_of

_DO: Final = (  # first person; the imperative leaves off its -e, the third person has -t
    "mach|schreib|schick|send|ruf|frag|prüf|teste?|klär|bestell|kauf|bau|druck|kleb|trag|leg|bring|hol|plan|"
    "organisier|buch|"
    "reservier|ruf|sprech|red|meld|kümmer|übernehm|vergleich|mess|zähl|sammel|sammle|änder|aktualisier|entwerf|"
    "zeichn|mal|"
    "reparier|tausch|ersetz|veröffentlich|verteil|verschick|leit|führ|stell|setz|richt|lad|füll|unterschreib|"
    "bestätig|les|"
    "such|find|lös|erledig|bereit|lief|liefer|verleg|verschieb|geh|geb|nehm|zeig|überarbeit|übersetz|mail|erstell|"
    "fertig|such|"
    "informier|vereinbar|besorg|schau|kopier|arbeit|halt|sag|erinner|behalt|schweiß|streich|lackier|bearbeit|teil|"
    "start"
)
_NUMBER: Final = (
    r"zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|zwanzig|dreißig|vierzig|fünfzig|sechzig|siebzig|"
    r"achtzig|neunzig|"
    r"\w*hundert\w*|\w*tausend\w*|\w*zig|\w*zehn|halbe?[nrs]?"
)
_LEAD: Final = (
    r"(?:(?:okay|ok|gut|schön|prima|alles klar|ja|nein|na gut|perfekt|einverstanden|und|nun|so|ähm?|äh|in ordnung)\b"
    r"[,.]? )*"
)
_WHEN: Final = (
    r"(?:jetzt|heute|morgen|sofort|(?:mon|diens|mitt|donners|frei|sams|sonn)(?:tag|woch)|januar|februar|märz|april|"
    r"mai|juni|juli|"
    r"august|september|oktober|november|dezember|(?:der|dem) \w+|nächste[rnm]? \w+|kommende[rnm]? \w+)"
)

_NO_PROMISE: Final = (  # "ich glaube" and the like
    "habe|hätte|glaube|denke|finde|würde|könnte|möchte|wäre|brauche|sage|meine|werde|hoffe|"
    "kenne|verstehe|sehe|höre|wollte|sollte|müsste|hatte|wusste|dachte|liebe|hasse|wette|"
    "komme|stehe|sitze|nehme an|musste|konnte|heiße|warte|lebe|heute|gerne|hatte|durfte|"
    "bitte|alle|viele|beide"
)

GERMAN: Final = Phrases(
    code="de",
    name="German",
    common=words_of("der die das und ist nicht wir ich ein eine es sie mit auf für den dem zu von auch"),
    cues={
        "settled outright": any_of(
            r"\bwir haben (?:uns )?(?:\w+ )?(?:beschlossen|entschieden|geeinigt|vereinbart|festgelegt)\b|"
            r"\b(?:ist|sind|wäre) (?:damit |hiermit |also |jetzt |auch )?(?:beschlossen|entschieden|vereinbart|"
            r"abgemacht|ausgemacht)\b|"
            r"\b(?:ist|gilt) (?:das |also |damit )?(?:die (?:entscheidung|regel)|der (?:beschluss|plan))\b|"
            r"\bdie (?:entscheidung|regel) (?:ist|lautet)\b|\bwir einigen uns\b|\bes bleibt dabei\b|"
            r"^(?:einverstanden|beschlossen|abgemacht|entschieden)[,:.] \w"
        ),
        "chosen": any_of(
            r"\b(?:wir|dann) (?:nehmen|wählen|entscheiden uns|bleiben bei|setzen auf|machen|behalten|"
            r"streichen) (?:wir |also |dann |jetzt )?"
            r"(?:die|das|den|der|es|ein|eine|einen|uns|nur|bei|auf|beide|zwei|drei|vier)\b|\bdabei bleibt es\b|"
            r"\bes wird (?:das|die|der|ein)\b|"
            r"\blasst uns (?:\w+ ){0,3}(?:nehmen|machen|behalten|bleiben)\b|\bscheidet aus\b"
        ),
        "so then": any_of(
            rf"^{_LEAD}(?:also|dann|damit|somit)\b,? (?!ich\b|gab\b|was|wie|wer|warum|wenn|ob|ähm?|äh|nein|ja\b)\w|"
            rf"[a-zäöü],? also[.!]?$"
            r"|\b(?:ist|wird|sind|gilt|bitten|hat) also\b"
        ),
        "agreed first": any_of(
            rf"^(?:einverstanden|abgemacht|gut|okay|ok|in ordnung|perfekt|ja|fein|prima), (?!{_LEAD}$)\w+ \w+ \w+"
        ),
        "we do": any_of(
            r"\b(?!haben|hatten|sind|waren|müssen|mussten|können|konnten|könnten|sollen|sollten|würden|wollen|"
            r"wollten|wissen|denken|"
            r"brauchen|kriegen|bekommen|hätten|wären|dürfen|mögen|sagten|sehen|reden|hatten|"
            r"glauben)[a-zäöüß]+en wir (?:uns |alle |ab |auch |nur |"
            r"bei |die |das |den |um |keine )?|(?:^|[,.:;] )wir (?!haben|hatten|sind|waren|müssen|mussten|können|"
            r"konnten|könnten|sollen|sollten|"
            r"würden|wollen|wollten|wissen|denken|brauchen|kriegen|hätten|wären|dürfen|mögen|sagten|sehen|reden|"
            r"glauben|sechs|alle)[a-zäöüß]+en\b"
        ),
        "rule": any_of(
            rf"\b(?:höchstens|maximal|nie|niemals|nur noch|ab {_WHEN}|von jetzt an|künftig|in zukunft|jeden \w+|"
            rf"jede \w+|statt|"
            r"ohne (?:scan|ein|eine|den|die)|nichts mehr|keine? \w+ mehr|spätestens|immer|freiwillig|bis zu|"
            r"kein fehler|müssen bestanden)\b"
        ),
        "none of it": any_of(
            r"^(?:also )?keine? (?!ahnung|problem|wunder|sorge|witze)[a-zäöüß]+ .{6,}|"
            r"\bwir [a-zäöüß]+en (?:\w+ ){0,3}(?:nicht|keine?n?)\b"
        ),
        "stays or goes": any_of(
            r"\b\w+ (?:bleibt|bleiben|wird|werden|heißt|kommt (?:in|auf|raus)|kommen (?:in|auf)|geht (?:an|auf|in)|"
            r"steht künftig|gilt|gelten|fahren|"
            r"sehen (?:die|nur)|beginnt|entfällt|entfallen)\b"
        ),
        "short order": any_of(
            r"^(?:(?:okay|gut|ja|dann|nein),? )?(?:behaltet?|nehmt?|nimm|macht?|streicht?|verschiebt?|lasst|lass|"
            r"stoppt?) (?:\w+ ?){1,4}[.!]$"
        ),
        "own promise": any_of(
            r"\bich werde\b|\b(?:das|die|den|es|ihn|sie) (?:mache|übernehme|erledige|kläre|schreibe|schicke|"
            r"besorge|prüfe) ich\b|"
            r"\bich (?:übernehme|kümmere mich|erledige|sorge dafür|besorge)\b|\bda gehe ich\b|\bleite ich (?:an|"
            r"weiter)\b"
        ),
        "own offer": any_of(r"\bich (?:kann|könnte|würde) (?:\w+ ){0,8}\w+en\b"),
        "own present": any_of(
            rf"\bich (?:(?:{_DO})e|\w+(?:ere|iere|ege|ebe|ucke|uche|üfe|enne|elle|ite|igne|iche|ese|ole|ese|ade|"
            rf"age|ange|eibe|icke|echte|"
            rf"eiche|erde|inge|ühre|ändere))\b|\b(?:(?:{_DO})e) ich\b"
        ),
        "own will": any_of(rf"\bich (?!(?:{_NO_PROMISE})\b)[a-zäöüß]+e\b"),
        "own going": any_of(rf"\b(?:(?!(?:{_NO_PROMISE})\b)[a-zäöüß]+e|{_DO}) ich\b|\bich (?:{_DO})\b"),
        "declines": any_of(
            r"\bich (?:\w+ ){1,8}nicht\b(?! nur)|\bnicht ich\b|\b(?:kann|will|werde|mache|schaffe) ich (?:\w+ )?nicht\b"
        ),
        "you'll have": any_of(r"\b(?:du|ihr) (?:hast|habt|bekommst|bekommt|kriegst|kriegt) (?:es|sie|den|die|das|ein)"),
        "it is so": any_of(
            r"\b(?!er|sie|wer|da|was)\w+ (?:ist|sind) (?:drin|raus|dabei|weg|zu|geschlossen|gestrichen|genehmigt|"
            r"freiwillig)\b|\b(?:scheidet|fällt|entfällt|kommt|kommen|bleibt|bleiben|gilt|gelten)\b"
        ),
        "a verb": any_of(
            r"\b(?:ist|sind|war|waren|hat|haben|hatte|habe|wird|werden|würde|kann|können|könnte|soll|sollen|muss|"
            r"müssen|darf|will|wollen|ich|wir|du|er|sie|ihr|es|das|man|was|wer|wie|warum|wann|wo|ja|nein|danke|gut|"
            r"okay|genau|stimmt|hallo|morgen|nicht)\b"
        ),
        "told to": any_of(
            rf"^{_LEAD}(?:(?:also|dann|und),? )?(?:bitte )?(?:{_DO})e?t? (?!ich|wir|er|sie|es|das nicht)\w+"
        ),
        "you do": any_of(
            rf"\bdu (?:{_DO})e?st\b|\b(?:kannst|könntest|würdest) du\b|\bihr (?:{_DO})e?t\b|\b(?:könnt|"
            rf"könntet) ihr\b|\bdu \w+st (?:bitte|bis|das|die|den)\b"
        ),
        "please": any_of(r"\bbitte\b"),
        "action item": any_of(r"\b(?:aufgabe|to-?do):"),
        "wanted by": any_of(r"\bich (?:will|brauche|möchte) (?:es|das|die|den|ihn|sie)\b"),
        "we need somebody": any_of(
            r"\b(?:wir müssen|jemand muss|jemand sollte|kann jemand|könnte jemand|es muss jemand)\b"
        ),
        "hedged": any_of(
            r"\b(?:vielleicht|möglicherweise|eventuell|könnten?|könntest|würden?|würdet|sollten?|müssten?|möchte|"
            r"ich glaube|ich denke|ich finde|wohl|"
            r"wahrscheinlich|hoffentlich|vorschlagen|ich schlage vor|hätten?|wäre[n]?|wie wäre|gern|ungern|lieber|"
            r"ich will|können wir|wir können|dürfen|dürfte|sähen)\b"
        ),
        "conditional": any_of(r"\b(?:wenn|falls|sofern|ob|sobald|es sei denn|bevor wir|außer wenn|solange)\b"),
        "denied": any_of(r"\b(?:nicht|keine?[nmrs]?|nie|niemals|niemand|nichts|nirgends)\b"),
        "past": any_of(
            r"\b(?:war|waren|hatte|hatten|wurde|wurden|sagte|sagten|gesagt|gefragt|gemacht|gewesen|gestern|"
            r"letzte[ns]? (?:woche|jahr|monat)|"
            r"damals|früher|schon|kam|kamen|wollte|wollten|stand|ließ|ließen|(?:habe|hat|"
            r"haben) (?:\w+ ){0,8}\w*ge\w+(?:t|en)|gab|nahm|ging)\b"
        ),
        "reported": any_of(
            r"\b(?:letztes (?:mal|jahr)|beim letzten mal|letzte woche|in der letzten sitzung|es hieß)\b|"
            r"\b(?:er|sie|man|jemand|einer|die leute|"
            r"alle) (?:sagt|sagen|meint|meinen|sagte|wollen|will|denkt|denken)\b"
        ),
        "about somebody else": any_of(r"\b(?:er|seine?[nmrs]?|ihre?[nmrs]?|ihm|ihn|ihnen|man|es gibt)\b"),
        "stumbles": any_of(r"\b(?:äh|ähm|öh|hm|mhm|tja|halt|sozusagen)\b|\b(\w+) \1\b"),
        "filler start": any_of(r"^(?:also )?(?:äh|ähm|ja|na ja|naja|tja|oh|hm|mhm|weißt du)\b"),
        "an amount": any_of(rf"\b(?:\d+|{_NUMBER})\b"),
        "first person": any_of(r"\b(?:ich|mir|mich|mein\w*)\b"),
        "describes": any_of(r"\b(?:ist|sind|war|hat|haben|gibt|heißt|kostet|weiß|wissen|brauchen?|liegt|klingt)\b"),
        "lead": any_of(r"^(?:okay|ok|gut|ja|einverstanden|also|dann|schön|prima|na gut)\b[,.]? "),
        "then": any_of(r"^(?:(?:okay|gut|ja), )?(?:dann|also|damit)\b"),
        "put off": any_of(r"\b(?:nicht heute|nächstes mal|später|nicht entscheiden|noch einmal)\b"),
        "is done": any_of(
            r"\b(?:wird|werden|ist|sind|bleibt|bleiben)\b.*\b(?:ge\w+t|\w*ge\w+en|\w+iert|raus|ab|weg|freiwillig)\b"
        ),
        "meeting talk": any_of(
            r"\b(?:fangen wir|lasst uns (?:anfangen|sehen|weiter|reden)|nächste (?:folie|frage|runde)|"
            r"nächster punkt|tagesordnung|folie|präsentation|"
            r"mikrofon|bildschirm|danke|tschüss|hört ihr mich|noch etwas|sonst noch|zum schluss|reden wir|"
            r"kommen wir zu|bis gleich)\b"
        ),
    },
    accepts=any_of(
        r"^(?:ja|jo|jep|gut|na gut|einverstanden|okay|ok|richtig|erledigt|perfekt|danke|klar|sicher|super|prima|"
        r"schön|gern|abgemacht|"
        r"in ordnung|mach ich|mache ich|geht klar|alles klar|genau|stimmt|bis \w+tag|gefällt mir|hallelujah)\b"
    ),
    refuses=any_of(
        r"^(?:nein\b|nee\b|leider|tut mir leid|das (?:kann|geht|schaffe) (?:ich )?nicht|ich kann (?:das )?nicht|"
        r"ich nicht|auf keinen fall|aber ich|nie\b)"
    ),
    takes=any_of(
        r"\b(?:mach(?:e)? ich|ich (?:mache|übernehme|schreibe|kläre|schicke|kann|schaffe)|wird gemacht|bis \w+tag|"
        r"bis (?:dann|zum)|erledige ich|klar)\b"
    ),
    open=any_of(
        r"\b(?:offene frage|noch (?:immer )?offen|(?:noch )?unklar|bleibt offen|"
        r"muss(?:en)? (?:wir )?noch (?:klären|entscheiden|herausfinden)|"
        r"wir wissen (?:noch |immer noch )?nicht,? (?:ob|was|wer|wann|wo|warum|wie|welche\w*))\b"
    ),
    asks=any_of(
        r"^(?:\W*(?:und|aber|also|ok|okay|gut|äh|ähm|ja)\b,?\s*)*(?:wer|wen|wem|was|wann|wo|warum|wieso|wie|"
        r"welche\w*|wessen|woher|wohin|ist|sind|"
        r"hat|haben|kann|können|soll|sollen|sollten|wird|werden|würde|muss|müssen|darf|geht|gibt)\b"
    ),
    no_answer=any_of(
        r"\b(?:(?:ich|wir) wei(?:ß|ss) (?:es )?(?:auch |noch )?nicht|(?:das )?wei(?:ß|ss) ich (?:auch )?nicht|"
        r"wissen wir nicht|wir wissen es nicht|"
        r"keine ahnung|gute frage|nicht sicher|(?:muss|müssen|müsste) (?:ich|wir)? ?(?:\w+ )?(?:nachsehen|prüfen|"
        r"fragen|klären|herausfinden)|niemand weiß)\b"
    ),
    after_name=re.compile(
        rf"(?: und [A-ZÄÖÜ][\w'-]{{1,40}} (?:{_DO})e?n\b"
        rf"|(?P<outright>,? (?:kannst|könntest|würdest) du\b|,? bitte\b|,? du (?:{_DO})e?st\b"
        r"| (?:wird|soll|muss)\b(?! (?:sein|krank|müde)))"
        rf"|,? (?:und )?(?:{_DO})e?\b (?!ich)"
        r"| (?!ist\b|hat\b|sagt\b|meint\b|weiß\b|denkt\b|findet\b|glaubt\b|nicht\b|mit\b|seit\b|jetzt\b|erst\b|"
        r"mag\b|gibt\b|kennt\b|kommt\b|"
        r"liegt\b|steht\b|bleibt\b|heißt\b|wartet\b|schreit\b)[a-zäöüß]{3,}t\b)"
    ),
    preamble=any_of(
        r"^.*?\b(?:ich werde|wir müssen|jemand muss|jemand sollte|kann jemand|könnte jemand|es muss jemand|"
        r"aufgabe:|to-?do:) "
    ),
    after_who=any_of(r",? (?:(?:kannst|könntest|würdest) du (?:bitte )?|bitte |wird |soll |muss |du )?"),
    before_name=re.compile(
        r"\b(?:dann|also|und|gut|bitte|bis \w+) (?!ist\b|sagt\b|meint\b|weiß\b|denkt\b|findet\b|glaubt\b|gibt\b|"
        r"kennt\b|mit\b|nicht\b|seit\b)[a-zäöüß]{2,}t $",
        re.IGNORECASE,
    ),
)
