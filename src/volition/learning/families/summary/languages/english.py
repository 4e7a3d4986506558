"""English: how people settle things, hand them out and leave them open."""

import re
from typing import Final

from volition.learning.families.summary.languages.phrases import Phrases, any_of
from volition.learning.families.summary.sentences import words_of

_DO: Final = (
    "add|answer|arrange|ask|block|book|brief|bring|build|buy|call|cancel|change|check|circulate|clean|collect|compare|"
    "come up with|confirm|contact|"
    "copy|"
    "count|create|cut|deliver|deploy|design|document|draft|draw|e-?mail|extend|file|fill|finali[sz]e|find|finish|"
    "fix|"
    "follow|forward|get|give|hand|hang|install|invite|investigate|keep trying|license|list|look (?:at|for|into|up)|"
    "mail|"
    "make|measure|meet|merge|mend|move|offer|order|organi[sz]e|paint|phone|pick|plan|post|prepare|print|probe|"
    "publish|"
    "put|raise|read|rebuild|redo|redraw|remove|rent|repair|replace|report|reserve|review|revise|rewrite|ring|run|"
    "save|"
    "scan|schedule|search|sell|send|set up|share|ship|show|sign|sort|speak|start|submit|summari[sz]e|switch|take|"
    "talk|"
    "tape|tell|test|tidy|translate|try|turn|type|update|upload|verify|visit|warn|weld|work (?:on|out)|write"
)
_NUMBER: Final = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|"
    "nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|twice"
)
_LEAD: Final = (
    r"(?:(?:okay|ok|good|fine|right|alright|all right|yes|yeah|yep|no|great|perfect|well|and|now|um|uh)\b[,.]? )*"
)
_TIME: Final = (
    r"(?:now on|today|tomorrow|tonight|next|then on|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|"
    r"march|"
    r"april|may|june|july|august|september|october|november|december|the (?:\w+(?:th|st|nd|rd)|first|second|third|"
    r"next))"
)

ENGLISH: Final = Phrases(
    code="en",
    name="English",
    common=words_of("the of and to is in it that you we for was on have they this what with but are not"),
    cues={
        "settled outright": any_of(
            r"\bwe(?:'ve| have)? (?:all )?(?:just )?(?:decided|agreed) (?:to|on|that|not|we)\b|"
            r"\b(?:it is|it's|that is|that's) (?:also |all |now )?(?:decided|settled|agreed|final)\b|"
            r"\b(?:that's|that is|this is|here's|so) the (?:decision|rule|plan)\b|(?<!but )\bthe (?:decision|rule) "
            r"is\b|"
            r"\bwe(?:'ve| have) (?:settled on|chosen)\b|\blet's decide it\b|^(?:agreed|settled|decided)[,:.] \w|"
            r"\bit won't change\b|\bwe(?:'re| are) (?:all )?agreed\b"
        ),
        "chosen": any_of(
            r"\blet'?s (?:also |just |then |all )?(?:go (?:with|for)|make it|do (?:it|that|this|\w+ \w+)|use|keep|"
            r"stick|leave|"
            r"license|buy|have (?!a look)|take|drop|skip|not \w+ \w+|sign)\b|"
            r"\bwe(?:'ll| will|'re going to| are going to|'re gonna)? ?(?:go(?:ing)?) (?:with|for)\b|"
            r"\b(?:it is|it's), then\b|\bgo (?:with|for) (?:the|a|an|two|three)\b"
        ),
        "so then": any_of(
            rf"^{_LEAD}(?:so|then|all in)\b,? (?!um|uh|i\b|you know|like|yeah|what|how|who|why|if|do|does|can|"
            rf"could|it's a)\w"
            r"|[a-z0-9],? then[.!]?$"
        ),
        "agreed first": any_of(
            rf"^(?:agreed|settled|fine|good|okay|ok|perfect|done|alright|yes), (?!{_LEAD}$)\w+ \w+ \w+"
        ),
        "we do": any_of(
            r"(?:^|[,.:;] |\b(?:so|then|and|but|now|otherwise) )we (?:all |only |also |still |never |"
            r"now )?(?:don't |do not )?"
            r"(?!have\b|had\b|are\b|were\b|was\b|need\b|can|could|should|would|might|may\b|must\b|know|knew|think|"
            r"thought|"
            r"want|wish|did\b|do\b|like\b|see\b|saw\b|got\b|just\b|mean|said|say\b|talk|discuss|look\b|feel|hope|"
            r"believe|"
            r"remember|forget|use to|used|all\b|even\b|really\b|also\b|already|actually|were|'|will\b|went|made|"
            r"found|lost|"
            r"tried|lose\b|\w+ed\b|get\b)[a-z]+\b"
        ),
        "rule": any_of(
            rf"\b(?:at most|no more than|never|only (?:if|the|with|be|taken|on|see)|from {_TIME}|every (?:\w+ )?"
            r"(?:morning|day|week|month|friday|monday|line|case|claim|build|donor|one|second)|instead of|"
            r"without (?:a|the|asking)|not (?:more|into)|starting (?:in|from|on)|in future|no exceptions?|"
            r"before it ships|"
            r"rest comes out|up to|zero|until further notice|gets? \w+ within|as (?:it is|they are))\b"
        ),
        "none of it": any_of(
            r"^(?:\w+, )?no (?:more |new )?(?!one|idea|problem|doubt|wonder|worries|way|need|thanks|kidding|it's|"
            r"it is)"
            r"(?!no\b)[a-z]+s?\b.{6,}|\bwe (?:don't|do not|won't) (?!know|think|have|want|need|see|like|even|"
            r"really|actually)"
            r"[a-z]+\b"
        ),
        "stays or goes": any_of(
            r"\b(?!there|it|that|this|he|she|what|who|which|i|you|they)\w+ (?:stays?|becomes?|changes? to|"
            r"goes (?:in|out|into|to|on)|"
            r"go (?:in|out|to|on)|moves? to|comes? out|lives? in|gets?|get|is (?:by|on|in|out)|are (?:only|never)|"
            r"opens?|closes?|"
            r"starts?|is (?:never|only|not|optional))\b"
        ),
        "short order": any_of(
            r"^(?:(?:okay|fine|good|yes|then|all right|no),? )?(?:keep|take|move|do|tick|cut|drop|stop|mask|use|"
            r"make|license|"
            r"leave|send|add|put|scrap|skip|buy|count|lock) (?:(?!you|me|i\b)\w+ ?){1,4}[.!]$"
        ),
        "own promise": any_of(
            rf"\b(?:I'll|I will|I'm going to|I am going to|I'm gonna|I shall) (?:also |then |just |quickly |"
            rf"definitely |gladly |"
            rf"have to |\w+ly )?(?:be (?:sending|writing|doing)|(?:{_DO})\b|(?:do|have) (?:that|it|them|those|the|"
            rf"a)\b|see the\b)"
        ),
        "own offer": any_of(
            rf"\bI (?:can|could|'d) (?:have |just )?(?:(?:{_DO})\b|(?:do|have) (?:that|it|a|"
            rf"one)\b)"
        ),
        "own present": any_of(
            rf"(?:^|[,.;:] |\b(?:and|then|so|good|yes|fine) )I(?:'m)? (?:then |"
            rf"also )?(?:{_DO})(?:ing)? (?!it's\b)\w+"
        ),
        "own will": any_of(
            r"\b(?:I'll|I will|I'm going to|I am going to|I'm gonna|I shall) (?:also |then |just |quickly |gladly )?"
            r"(?!be\b|never|not\b|need|have to|tell you|say\b|admit|bet|let you|see\b|wait|believe|miss|die|cry|"
            r"remember|think|live|know|love|hate|try not|get used|go first|start with|stop|explain|talk|present|"
            r"give a)[a-z]+\b"
        ),
        "own going": any_of(
            r"\bI'm (?:\w+ly )?(?!going|thinking|trying|asking|saying|looking|hoping|being|kidding|telling|talking|"
            r"wondering|doing fine|starting to|hearing|having|feeling|getting|not)\w+ing\b|"
            r"(?:^|[,.;] )(?:yes, |okay, )?(?:doing|booking|sending|calling|ordering|writing) (?:it|that|them|him|her) "
            r"(?:now|today|tonight|tomorrow)"
        ),
        "declines": any_of(
            r"\b(?:I|we)(?:'ll| will|'m| am|'re| are) not\b|\b(?:I|we) (?:won't|can't|cannot|shan't|refuse)\b"
        ),
        "you'll have": any_of(r"\byou(?:'ll| will) (?:have|get) (?:it|them|that|the|a)\b"),
        "it is so": any_of(
            r"^(?:(?:okay|ok|all right|right|good|fine|yes|yeah|so),? )?(?:[\w'-]+ ){1,5}it is\b|"
            r"\b(?!he|she|who|there|what)\w+(?:'s| is|'re| are) (?:in|out|off|closed|shut|cut|approved|gone|enough)\b"
            r"|\b(?:we|that's) (?:a )?(?:lose|keep|drop|skip|scrap|leave|need no)\b"
        ),
        "a verb": any_of(
            r"\b(?:is|are|was|were|be|been|am|has|have|had|do|does|did|can|could|will|would|should|must|may|might|"
            r"shall|I|we|you|he|she|they|it|that|what|who|how|why|when|where|\w+'(?:s|re|ll|ve|d|m|t)|yes|yeah|no|"
            r"oh|thanks|thank|okay|right|good|fine|sorry|hello|morning)\b"
        ),
        "told to": any_of(rf"^{_LEAD}(?:(?:so|then|and|so then),? )?(?:please,? )?(?:{_DO})\b (?!it's)\w+"),
        "you do": any_of(
            rf"\byou(?: two| guys| both)?(?:'ll| will| should| can| could)?(?: have to| need to)?"
            rf"(?: maybe| please| then| could| go and)? (?:do (?:the|a)|be (?:looking|doing|working|writing|making|"
            rf"checking|preparing)|(?:{_DO})\b|work\b)|\b(?:would|could|can) you (?:please |then )?(?:{_DO})\b|"
            rf"\byou're (?:looking at|doing|writing|making)\b"
        ),
        "please": any_of(r"\bplease\b"),
        "action item": any_of(r"\b(?:action item|to-?do)\b:?"),
        "wanted by": any_of(r"\bI (?:want|need) (?:it|them|that|the \w+|this|a \w+)\b"),
        "we need somebody": any_of(
            rf"\b(?:(?:we|somebody|someone) (?:need to|needs to|have to|has to|must|should)|"
            rf"(?:can|could) (?:somebody|someone|you)(?: please)?) (?:also |then |just |quickly )?(?:{_DO})\b"
        ),
        "hedged": any_of(
            r"\b(?:maybe|perhaps|might|may|could|would|should|shall|I'd|I think|I guess|I suppose|I don't know|"
            r"not sure|"
            r"I hope|hopefully|probably|possibly|I suggest|propose|I want|I'd like|like to|what if|how about|"
            r"seems?|wonder|"
            r"kind of|sort of|ought to|can be|would be|I mean|we can|can we|we could)\b|\bwe'd\b"
        ),
        "conditional": any_of(
            r"\b(?:if|unless|whether|suppose|until we|before we|once|when we|in case|"
            r"assuming)\b"
        ),
        "denied": any_of(
            r"\b(?:haven't|hasn't|didn't|wasn't|isn't|aren't|can't|cannot|couldn't|won't|wouldn't|shouldn't|don't|"
            r"doesn't|not|"
            r"never|nobody|nothing)\b"
        ),
        "past": any_of(
            r"\b(?:was|were|had|did|didn't|said|told|asked|went|got|made|came|saw|thought|used to|last (?:week|"
            r"time|year|month)|"
            r"yesterday|already|\w{3,}ed (?:it|the|that|them|a|by)|been|ago|I've|we've|they've)\b"
        ),
        "reported": any_of(
            r"\b(?:last|previous) (?:time|meeting|week|month|year)\b|\bpreviously\b|\b(?:he|she|they|people|everyone|"
            r"somebody|someone|who|[a-z]+ (?:has|have)|"
            r"everybody) (?:said|says|say|told|claims?|want|wants|think|thinks)\b"
        ),
        "about somebody else": any_of(r"\b(?:he|she|his|her|him|they|their|there's|there is|there are)\b"),
        "stumbles": any_of(r"\b(?:um|uh|er|erm|mm|hmm|you know|like|yeah)\b|\b(\w+) \1\b"),
        "filler start": any_of(r"^(?:so )?(?:um|uh|yeah|well|oh|mm|hmm|like|I mean|you know)\b"),
        "an amount": any_of(rf"\b(?:\d+|{_NUMBER})\b"),
        "first person": any_of(r"\b(?:I|I'm|I'll|I'd|I've|my|me)\b"),
        "describes": any_of(
            r"\b(?:is|are|was|it's|that's|there's|they're|he's|she's|has|have|we're|what's|who's|means|costs?|says|"
            r"needs?|got|"
            r"know)\b|'s (?:a|the|an|not|like|too|just)\b"
        ),
        "lead": any_of(
            r"^(?:okay|ok|good|fine|right|yes|agreed|settled|great|all right|alright|so|then|lovely)\b[,.]? "
        ),
        "then": any_of(r"^(?:(?:okay|good|right|yes), )?(?:so|then)\b"),
        "put off": any_of(
            r"\b(?:not today|next time|decide (?:that|it|the \w+) (?:today|later)|don't (?:want to )?decide|"
            r"come back to|later|"
            r"look again)\b"
        ),
        "is done": any_of(
            r"(?:\b(?:is|are|gets?)|'s|'re) (?:now |only |never |not |also )?(?:\w{3,}ed|cut|out|put|set|sent|made|"
            r"taken|drawn|"
            r"run|built|done|shown|kept|off|by|on the)\b"
        ),
        "meeting talk": any_of(
            r"\b(?:let's (?:start|move|see|talk|look|discuss|get|begin|go (?:on|in|back|ahead|through|over)|"
            r"continue|finish|wrap|"
            r"call it a|hear|think|fix that first)|next (?:slide|point|topic|item|meeting|one)|slide|agenda|"
            r"presentation|minutes of|"
            r"microphone|whiteboard|move on|moving on|go ahead|your turn|go first|questionnaire|"
            r"close(?: the)? meeting|"
            r"meeting (?:is )?(?:over|closed)|thank you|thanks|apologies|declarations?|take notes|the screen|"
            r"the cable|criteri\w+|see you|good (?:night|morning|evening)|average|tell (?:me|us) (?:a|about|what|how)|"
            r"I(?:'ll| will) (?:talk about|present|start|begin|tell you)|(?:give|put) (?:it |that )?(?:a )?(?:a )?"
            r"(?:one|two|three|four|five|six|seven))\b"
        ),
    },
    accepts=any_of(
        r"^(?:yes|yeah|yep|fine|good|agreed|okay|ok|right|done|perfect|thank(?:s| you)|sure|great|nice|of course|"
        r"will do|deal|"
        r"all right|alright|noted|hallelujah|by \w+day|got it|absolutely|mm-hmm)\b"
    ),
    refuses=any_of(
        r"^(?:no\b|nope|sorry|I can't|I cannot|I won't|not me|never|but I|I'm (?:away|off|not|afraid)|can't|"
        r"impossible)"
    ),
    takes=any_of(
        r"\b(?:I'll|I will|I can|on my list|will do|by (?:\w+day|then|the|tomorrow|noon)|it's small|done|"
        r"of course)\b"
    ),
    open=any_of(
        r"\b(?:open question|still open|(?:still|remains?) (?:unclear|to be (?:decided|seen))|"
        r"(?:we (?:still )?(?:don't|do not) (?:yet )?know|(?:need|have) to find out) "
        r"(?:if|whether|what|who|when|where|why|how|which))\b"
    ),
    asks=any_of(
        r"^(?:\W*(?:and|but|so|ok|okay|well|um|uh|yes)\b,?\s*)*(?:who|what|when|where|why|how|which|whose|do|does|"
        r"did|is|are|"
        r"can|could|should|shall|will|would|have|has)\b"
    ),
    no_answer=any_of(
        r"\b(?:(?:I|we) (?:really |still )?(?:don't|do not) know|(?:not|never) (?:really |quite |too )?sure|"
        r"no idea|"
        r"good question|have to (?:check|find out|ask)|need to (?:check|find out|ask)|nobody knows)\b"
    ),
    after_name=re.compile(
        rf"(?: and [A-Z][\w'-]{{1,40}} (?:{_DO}|do|have|go|lead|own|check|drive|handle|help|join)\b"
        rf"|(?P<outright>,? (?:(?:can|could|would|will) you (?:please )?|please |will |is going to |has to |is to )"
        rf"(?:also |then |just )?(?:{_DO}|do|have|go|lead|own|check|drive|handle|help|join)\b"
        rf"|'ll (?:{_DO}|do|have|go|lead|check|drive|handle|help|join)\b)"
        rf"|,? (?:and )?(?:{_DO}|check) (?!it's)\w+"
        r"| (?:also |then |both )?(?!is\b|was\b|has been|has (?:a|the|got|no)\b|says|thinks|knows|wants|likes|"
        r"does\b|looks|needs|means|"
        r"seems|as\b|his\b|this\b|always|sounds|feels|loves|hates|its\b|us\b|names|keeps saying)[a-z]{2,}s\b"
        r"|,? [^,.?]{3,60}, please\b)"
    ),
    preamble=any_of(
        r"^.*?\b(?:I'll|I will|I'm going to|I am going to|I'm gonna|I shall|I can|(?:we|somebody|someone) "
        r"(?:need to|needs to|have to|has to|must|should)|(?:can|could) (?:somebody|someone|you)(?: please)?|"
        r"action item:?(?: to)?) (?:also |then |just |quickly |definitely |gladly )?"
    ),
    after_who=any_of(
        r",? (?:(?:can|could|would|will) you (?:please )?|please |will |is going to |has to |is to |'ll )?(?:also |"
        r"then )?|'ll "
    ),
    before_name=re.compile(
        rf"(?:^|[,.;] )(?:and |so |then |please )?(?:{_DO})\b[^.?]{{0,60}}, $|, please, $|, $(?<=please, )"
    ),
)
