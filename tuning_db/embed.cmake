# cmake -DFILES=a.sql;b.sql -DHEADER=tuning_db/schema.h -DFUNCTION=migrations -DOUT=migrations.cpp -P embed.cmake
set(rows "")
set(version 0)
foreach(file IN LISTS FILES)
  math(EXPR version "${version} + 1")
  file(READ ${file} text)
  string(APPEND rows "    {${version}, R\"oc_sql(${text})oc_sql\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"${HEADER}\"\n
namespace oc {\n
std::span<const Migration> ${FUNCTION}() {
  static constexpr Migration kSteps[] = {
${rows}  };
  return kSteps;
}\n
}  // namespace oc\n")
