-- Which description of a machine is the right one only those who pull can tell, who hash it: all are kept, so that none
-- takes the place of another. Of what schema.sql lets pushes fill in later, the family of a workload is left.
ALTER TABLE opencompiler.machine DROP CONSTRAINT machine_pkey;
CREATE UNIQUE INDEX machine_by_line ON opencompiler.machine(id, md5(line));
DROP TRIGGER only_fills_in ON opencompiler.machine;
REVOKE UPDATE (line) ON opencompiler.machine FROM opencompiler_writer;
