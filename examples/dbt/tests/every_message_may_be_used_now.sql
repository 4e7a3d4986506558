-- Rows of the training table that may be used no more: dbt fails where there is one. Build it anew, and train again.
select m.*
from {{ ref("training_messages") }} as m
where ({{ volition_permitted("m", source("volition", "volition_permits"), source("volition", "volition_permits_state")) }}) is not true
