import json
from tests.workers.studies.test_study import *
from app.jobs.schemas import Job as Res
from app.jobs.service import caused
def test_x(context, begin, work, tables):
    study = begin(architectures=["cnn4"], train_on=["train"], seeds=[0], iterations=2, name="Two trainings", transfer=False)
    def dump(name):
        with context.sessions() as s:
            row = s.get_one(Job, study.id)
            open(f"/tmp/studies/{name}.json","w").write(Res.of(row, caused(s,[row.id]).get(row.id,())).model_dump_json(indent=2))
    dump("accepted"); work(); dump("ended")
