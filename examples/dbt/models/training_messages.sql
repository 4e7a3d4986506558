{{ config(materialized="table") }}

select m.*
from {{ source("lake", "messages") }} as m
where {{ volition_permitted("m", source("volition", "volition_permits"), source("volition", "volition_permits_state")) }}
